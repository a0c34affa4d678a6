#include "connector/abi/wasi_functions.h"

uint32_t wasi_fd_sync(struct guest *guest, const uint64_t *args)
{
	return wasi_has_fd(invocation_of(guest), args[0]) ? WASI_SUCCESS : WASI_EBADF;
}

uint32_t wasi_fd_not_a_file(struct guest *guest, const uint64_t *args)
{
	return wasi_has_fd(invocation_of(guest), args[0]) ? WASI_ENOSYS : WASI_EBADF;
}

uint32_t wasi_bad_fd(struct guest *guest, const uint64_t *args)
{
	(void)guest, (void)args;
	return WASI_EBADF;
}

/* A path is looked at before the descriptor that it is relative to; no descriptor is a folder. */
static uint32_t refuse_path(struct guest *guest, uint64_t fd, uint64_t path, uint64_t n)
{
	if (memory_span(guest_memory(guest), path, n) == NULL)
		return WASI_EFAULT;
	return wasi_has_fd(invocation_of(guest), fd) ? WASI_ENOTDIR : WASI_EBADF;
}

uint32_t wasi_path_1(struct guest *guest, const uint64_t *args)
{
	return refuse_path(guest, args[0], args[1], args[2]);
}

uint32_t wasi_path_2(struct guest *guest, const uint64_t *args)
{
	return refuse_path(guest, args[0], args[2], args[3]);
}

uint32_t wasi_path_symlink(struct guest *guest, const uint64_t *args)
{
	if (memory_span(guest_memory(guest), args[0], args[1]) == NULL)
		return WASI_EFAULT;
	return refuse_path(guest, args[2], args[3], args[4]);
}
