// A driver with one GPU, for the tests. It has the functions of NVML that Hostler calls; without
// MEASURES_ENERGY it lacks one, as old drivers do.

#include <string.h>
#include <time.h>

typedef int status;
enum { SUCCESS = 0, NOT_FOUND = 6 };

status nvmlInit_v2(void) { return SUCCESS; }
status nvmlShutdown(void) { return SUCCESS; }
status nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return SUCCESS; }

status nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    *device = (void *)1;
    return index == 0 ? SUCCESS : NOT_FOUND;
}

status nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    *device = (void *)1;
    return strcmp(uuid, "GPU-1234") == 0 ? SUCCESS : NOT_FOUND;
}

status nvmlDeviceGetName(void *device, char *name, unsigned length) {
    strncpy(name, "Test GPU", length);
    return SUCCESS;
}

struct memory { unsigned version; unsigned long long total, reserved, free, used; };
status nvmlDeviceGetMemoryInfo_v2(void *device, struct memory *memory) {
    memory->total = 80ull << 30;
    memory->used = 20ull << 30;
    return SUCCESS;
}

struct utilization { unsigned gpu, memory; };
status nvmlDeviceGetUtilizationRates(void *device, struct utilization *rates) {
    rates->gpu = 75;
    return SUCCESS;
}

status nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts) { *milliwatts = 350500; return SUCCESS; }
status nvmlDeviceGetTemperature(void *device, int sensor, unsigned *celsius) { *celsius = 61; return SUCCESS; }

#ifdef MEASURES_ENERGY
status nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    *millijoules = (unsigned long long)(now.tv_sec * 350500.0 + now.tv_nsec * 350500.0 / 1e9);
    return SUCCESS;
}
#endif
