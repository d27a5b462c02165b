// Finds the functions of a shared library when they are first called; see lazy.py.

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void *library;

static void load(void) {
    library = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);
    // A machine without NVIDIA's driver is normal; a machine with it but without cuBLAS is not.
    if (library == NULL && strcmp(SONAME, "libcuda.so.1") != 0) {
        fprintf(stderr, "hostler: %s\n", dlerror());
    }
}

static int missing(void) {
    return MISSING;
}

void *lazy_find(const char *name) {
    pthread_once(&once, load);
    void *found = library == NULL ? NULL : dlsym(library, name);
    return found == NULL ? (void *)missing : found;
}
