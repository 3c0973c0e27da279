// Suppressions for code that the thread sanitizer cannot judge.
#if defined(__SANITIZE_THREAD__)

// libnng is not instrumented: the sanitizer intercepts only some of its locks and atomics.
// ObservedSocket inspects a descriptor that the library may close at any moment, and checks that it
// is still the same one.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
    return "race:libnng.so\n"
           "called_from_lib:libnng.so\n"
           "race:differential::ObservedSocket\n";
}

#endif
