/* The example, three times at once: three_threads MODULE MANIFEST OUTPUT OUTPUT OUTPUT */
#define _POSIX_C_SOURCE 200112L
#include <pthread.h>

#include <ctlsign/ctlsign.h>

/* The token is pulled when the first of them signs: by then all have chosen it. */
static pthread_barrier_t chosen;
static ctlsign_status load_manifest(const char* path, ctlsign_manifest** manifest, ctlsign_error* error) {
    pthread_barrier_wait(&chosen);
    return ctlsign_manifest_load(path, manifest, error);
}
#define ctlsign_manifest_load load_manifest
#define main example
#include "bindings/c/examples/sign_ctl.c"
#undef main

static void* run(void* arguments) {
    return example(4, (char**)arguments) == 0 ? arguments : NULL;
}

int main(int argc, char** argv) {
    pthread_t threads[3];
    char* arguments[3][5];
    int i;
    int failed = 0;
    if (argc != 6 || pthread_barrier_init(&chosen, NULL, 3) != 0) return 2;
    for (i = 0; i < 3; ++i) {
        char* each[5] = {argv[0], argv[1], argv[2], argv[3 + i], NULL};
        memcpy(arguments[i], each, sizeof each);
        if (pthread_create(&threads[i], NULL, run, arguments[i]) != 0) return 2;
    }
    for (i = 0; i < 3; ++i) {
        void* done = NULL;
        pthread_join(threads[i], &done);
        failed |= done == NULL;
    }
    return failed || ctlsign_open_handles() != 0;
}
