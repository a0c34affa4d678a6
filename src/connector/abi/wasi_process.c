#include "connector/abi/wasi_functions.h"

/* args_sizes_get and environ_sizes_get: no strings, no bytes. */
uint32_t wasi_sizes_get(struct guest *guest, const uint64_t *args)
{
	struct guest_memory memory = guest_memory(guest);
	if (!memory_put_u32(memory, args[0], 0) || !memory_put_u32(memory, args[1], 0))
		return WASI_EFAULT;
	return WASI_SUCCESS;
}

uint32_t wasi_success(struct guest *guest, const uint64_t *args)
{
	(void)guest, (void)args;
	return WASI_SUCCESS;
}

uint32_t wasi_not_offered(struct guest *guest, const uint64_t *args)
{
	(void)guest, (void)args;
	return WASI_ENOSYS;
}

uint32_t wasi_proc_exit(struct guest *guest, const uint64_t *args)
{
	invocation_exit(invocation_of(guest), guest, (uint32_t)args[0]);
	return 0;
}
