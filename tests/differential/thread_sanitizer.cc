// What the thread sanitizer cannot know about this program.
#if defined(__SANITIZE_THREAD__)

// libnng is not instrumented: of its locks and atomics only a part is seen. ObservedSocket looks at
// a descriptor that the library may close at any moment, and makes sure that it is still the same
// one.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
    return "race:libnng.so\n"
           "called_from_lib:libnng.so\n"
           "race:differential::ObservedSocket\n";
}

#endif
