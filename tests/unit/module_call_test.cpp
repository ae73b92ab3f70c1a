#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <future>
#include <thread>

#include <pkcs11/module_call.hpp>
#include <pkcs11/mutex.hpp>

namespace ctlsign::pkcs11 {
namespace {

// What a module sees of its mutexes.
class ModuleMutex : public ::testing::Test {
  protected:
    ModuleMutex() {
        set_mutex_functions(functions_);
        functions_.CreateMutex(&mutex_);
    }
    ~ModuleMutex() override { functions_.DestroyMutex(mutex_); }
    CK_RV lock() { return functions_.LockMutex(mutex_); }
    CK_RV unlock() { return functions_.UnlockMutex(mutex_); }
    auto lock_elsewhere() {
        return std::async(std::launch::async, [this] {
            lock();
            return unlock();
        });
    }
    bool is_free() { return lock_elsewhere().get() == CKR_OK; }

    CK_C_INITIALIZE_ARGS functions_{};
    void* mutex_ = nullptr;
};

TEST_F(ModuleMutex, IsHeldUntilUnlockedAsOftenAsLocked) {
    const ModuleCall call;
    lock();
    lock();
    unlock();
    auto other = lock_elsewhere();
    EXPECT_EQ(other.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
    EXPECT_EQ(unlock(), CKR_OK);
    EXPECT_EQ(other.get(), CKR_OK);
    EXPECT_EQ(unlock(), CKR_MUTEX_NOT_LOCKED);
}

TEST_F(ModuleMutex, IsFreeWhenTheOutermostCallEnds) {
    {
        const ModuleCall outer;
        void* another = nullptr;
        functions_.CreateMutex(&another);
        lock();
        functions_.LockMutex(another);
        lock();
        { const ModuleCall inner; }
        EXPECT_EQ(unlock(), CKR_OK) << "an inner call unlocks nothing";
        functions_.DestroyMutex(another);
    }
    EXPECT_TRUE(is_free());
    EXPECT_EQ(unlock(), CKR_MUTEX_NOT_LOCKED) << "a module may unlock late";
}

TEST_F(ModuleMutex, IsFreeInAForkedChild) {
    std::promise<void> locked, end;
    std::thread other([&] {
        lock();
        locked.set_value();
        end.get_future().wait();
        unlock();
    });
    locked.get_future().wait();
    const pid_t child = fork();
    if (child == 0) _exit(lock() == CKR_OK && unlock() == CKR_OK ? 0 : 1);
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    end.set_value();
    other.join();
}

TEST(ModuleCallTest, ALostConnectionOfAModuleEndsNothing) {
    ASSERT_EQ(signal(SIGPIPE, SIG_DFL), SIG_DFL);
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    close(ends[0]);
    {
        const ModuleCall call;
        EXPECT_EQ(write(ends[1], "", 1), -1);
        EXPECT_EQ(errno, EPIPE);
    }
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    EXPECT_EQ(sigismember(&mask, SIGPIPE), 0);
    EXPECT_EXIT(_exit(write(ends[1], "", 1) == 1 ? 0 : 1), ::testing::KilledBySignal(SIGPIPE), "")
        << "outside a call it is the program's";
    close(ends[1]);
}

}  // namespace
}  // namespace ctlsign::pkcs11
