/* Signs a trust list with the one token that is plugged in: sign_ctl MODULE MANIFEST OUTPUT */
#include <stdio.h>
#include <string.h>

#include <ctlsign/ctlsign.h>

static int ask_pin(void* user, const ctlsign_pin_request* request, char* pin, size_t capacity,
                   size_t* length) {
    (void)user;
    fprintf(stderr, "PIN of %s, %ld tries left: ", request->subject, request->tries_left);
    if (fgets(pin, (int)capacity, stdin) == NULL) return 1;
    *length = strcspn(pin, "\n");
    return 0;
}

static int ask_to_put_it_back(void* user, const char* label, const char* serial, uint32_t wait_ms) {
    (void)user;
    fprintf(stderr, "%s (serial %s) is gone: put it back within %u s\n", label, serial,
            (unsigned)wait_ms / 1000);
    return 0;
}

int main(int argc, char** argv) {
    if (argc != 4) return fprintf(stderr, "usage: sign_ctl MODULE MANIFEST OUTPUT\n"), 2;
    ctlsign_module_options where = {.size = sizeof where, .path = argv[1]};
    ctlsign_signer_options who = {
        .size = sizeof who, .pin = ask_pin, .wait = ask_to_put_it_back, .wait_ms = 60000};
    ctlsign_modules* modules = NULL;
    ctlsign_signer* signer = NULL;
    ctlsign_manifest* manifest = NULL;
    ctlsign_bytes list = {NULL, 0};
    ctlsign_error error;
    int failed = ctlsign_modules_open(&where, &modules, &error) ||
                 ctlsign_signer_open_token(modules, NULL, &who, &signer, &error) ||
                 ctlsign_manifest_load(argv[2], &manifest, &error) ||
                 ctlsign_list_build(manifest, signer, CTLSIGN_TIME_DEFAULT, &list, &error) ||
                 ctlsign_store(argv[3], (ctlsign_view){list.data, list.size}, &error);
    if (failed) fprintf(stderr, "%s\n", error.text);
    ctlsign_bytes_free(&list);
    ctlsign_close(manifest, NULL);
    ctlsign_close(signer, NULL);
    ctlsign_close(modules, NULL);
    return failed;
}
