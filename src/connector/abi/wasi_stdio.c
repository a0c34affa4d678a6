#include "base/limits.h"
#include "connector/abi/wasi_functions.h"

enum { STDIN, STDOUT, STDERR };

/* What an ordinary file may be used for, which guests are told of all three descriptors. */
#define RIGHTS_FILE UINT64_C(0x8e001ff)

#define FILETYPE_BLOCK_DEVICE 1

/* One entry of an array of {u32 pointer, u32 length}: its bytes, NULL when they or the entry are not inside. */
static uint8_t *iovec_bytes(struct guest_memory memory, const uint8_t *iovec, uint64_t *ret_n)
{
	*ret_n = memory_load(iovec + 4, 4);
	return memory_span(memory, memory_load(iovec, 4), *ret_n);
}

/* fd_read(fd, iovecs, count, nread). What was read before a bad entry is gone, as it is for the original engine. */
uint32_t wasi_fd_read(struct guest *guest, const uint64_t *args)
{
	struct invocation *call = invocation_of(guest);
	if (args[0] != STDIN || !wasi_has_fd(call, STDIN))
		return WASI_EBADF;
	struct guest_memory memory = guest_memory(guest);
	const uint8_t *iovecs = memory_span(memory, args[1], args[2] * 8);
	if (iovecs == NULL)
		return WASI_EFAULT;

	uint64_t total = 0;
	for (uint64_t i = 0; i < args[2] && !invocation_must_stop_at(call, guest, i); i++) {
		uint64_t n;
		uint8_t *to = iovec_bytes(memory, iovecs + i * 8, &n);
		if (n == 0)
			continue;
		if (to == NULL)
			return WASI_EFAULT;
		size_t got = (size_t)MIN(n, (uint64_t)(call->ask.input.n - call->input_at));
		if (got > 0)
			memcpy(to, call->ask.input.p + call->input_at, got);
		call->input_at += got;
		total += got;
		if (got < n)
			break;
	}
	return memory_put_u32(memory, args[3], (uint32_t)total) ? WASI_SUCCESS : WASI_EFAULT;
}

static bool add_output(struct invocation *call, const uint8_t *bytes, size_t n)
{
	if (n > call->ask.stdout_max || call->output.n > call->ask.stdout_max - n) {
		call->output_full = true;
		return false;
	}
	buf_add(&call->output, bytes, n);
	return true;
}

/* Keeps between one and two tails in the buffer, so that each byte is moved at most twice. */
static void add_stderr(struct invocation *call, const uint8_t *bytes, size_t n)
{
	size_t max = call->ask.stderr_tail_max;
	if (n > max) {
		bytes += n - max;
		n = max;
		call->tail_cut = true;
	}
	if (call->tail.n + n > 2 * max) {
		buf_consume(&call->tail, call->tail.n - (max - MIN(n, max)));
		call->tail_cut = true;
	}
	buf_add(&call->tail, bytes, n);
}

/* fd_write(fd, iovecs, count, nwritten) */
uint32_t wasi_fd_write(struct guest *guest, const uint64_t *args)
{
	struct invocation *call = invocation_of(guest);
	if (args[0] == STDIN || !wasi_has_fd(call, args[0]))
		return WASI_EBADF;
	struct guest_memory memory = guest_memory(guest);
	const uint8_t *iovecs = memory_span(memory, args[1], args[2] * 8);
	if (iovecs == NULL)
		return WASI_EFAULT;

	uint64_t total = 0;
	for (uint64_t i = 0; i < args[2] && !invocation_must_stop_at(call, guest, i); i++) {
		uint64_t n;
		const uint8_t *from = iovec_bytes(memory, iovecs + i * 8, &n);
		if (n == 0)
			continue;
		if (from == NULL)
			return WASI_EFAULT;
		if (args[0] == STDERR)
			add_stderr(call, from, n);
		else if (!add_output(call, from, n))
			return WASI_ENOSPC;
		total += n;
	}
	return memory_put_u32(memory, args[3], (uint32_t)total) ? WASI_SUCCESS : WASI_EFAULT;
}

uint32_t wasi_fd_close(struct guest *guest, const uint64_t *args)
{
	struct invocation *call = invocation_of(guest);
	if (!wasi_has_fd(call, args[0]))
		return WASI_EBADF;
	call->closed[args[0]] = true;
	return WASI_SUCCESS;
}

/* 24 bytes: filetype u16 @0, flags u16 @2, rights u64 @8, inheriting rights u64 @16. */
uint32_t wasi_fd_fdstat_get(struct guest *guest, const uint64_t *args)
{
	uint8_t *to = memory_span(guest_memory(guest), args[1], 24);
	if (to == NULL)
		return WASI_EFAULT;
	if (!wasi_has_fd(invocation_of(guest), args[0]))
		return WASI_EBADF;
	memset(to, 0, 24);
	memory_store(to, FILETYPE_BLOCK_DEVICE, 2);
	memory_store(to + 8, RIGHTS_FILE, 8);
	return WASI_SUCCESS;
}

uint32_t wasi_fd_fdstat_set_flags(struct guest *guest, const uint64_t *args)
{
	enum { DSYNC = 2, RSYNC = 8, SYNC = 16 };
	if ((args[1] & (DSYNC | RSYNC | SYNC)) != 0)
		return WASI_EINVAL;
	if (!wasi_has_fd(invocation_of(guest), args[0]))
		return WASI_EBADF;
	/* Non-blocking is refused so that guests stay on plain blocking input and output. */
	return (args[1] & 0xffff) == 0 ? WASI_SUCCESS : WASI_ENOSYS;
}

/* 64 bytes: device, inode u64; filetype u8 @16; links u64 @24; size and three times u64. */
uint32_t wasi_fd_filestat_get(struct guest *guest, const uint64_t *args)
{
	uint8_t *to = memory_span(guest_memory(guest), args[1], 64);
	if (to == NULL)
		return WASI_EFAULT;
	if (!wasi_has_fd(invocation_of(guest), args[0]))
		return WASI_EBADF;
	memset(to, 0, 64);
	to[16] = FILETYPE_BLOCK_DEVICE;
	memory_store(to + 24, 1, 8);
	return WASI_SUCCESS;
}

/* 0, 1 and 2 count as preopened, with an empty name; 3 is none, which ends a guest's search for folders. */
uint32_t wasi_fd_prestat_get(struct guest *guest, const uint64_t *args)
{
	if (!wasi_has_fd(invocation_of(guest), args[0]))
		return WASI_EBADF;
	return memory_put_u64(guest_memory(guest), args[1], 0) ? WASI_SUCCESS : WASI_EFAULT;
}

uint32_t wasi_fd_prestat_dir_name(struct guest *guest, const uint64_t *args)
{
	if (!wasi_has_fd(invocation_of(guest), args[0]))
		return WASI_EBADF;
	return args[2] == 0 ? WASI_SUCCESS : WASI_ENAMETOOLONG;
}

uint32_t wasi_fd_advise(struct guest *guest, const uint64_t *args)
{
	enum { NOREUSE = 5 }; /* the last advice there is */
	if (!wasi_has_fd(invocation_of(guest), args[0]))
		return WASI_EBADF;
	return (args[3] & 0xff) <= NOREUSE ? WASI_SUCCESS : WASI_EINVAL;
}

/* No descriptor is a folder; a buffer below one entry's head is wrong before that. */
uint32_t wasi_fd_readdir(struct guest *guest, const uint64_t *args)
{
	enum { DIRENT = 24 };
	(void)guest;
	return args[2] < DIRENT ? WASI_EINVAL : WASI_EBADF;
}

/* Standard descriptors stay where they are. */
uint32_t wasi_fd_renumber(struct guest *guest, const uint64_t *args)
{
	if (!wasi_has_fd(invocation_of(guest), args[0]) || args[1] > INT32_MAX)
		return WASI_EBADF;
	return WASI_ENOTSUP;
}
