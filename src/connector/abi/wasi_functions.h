/* The functions behind the table of wasi.c, by file. Each is a host_function.run; several rows may share one. */
#pragma once
#include "connector/abi/invocation.h"

/* Numbers of preview 1. */
enum wasi_errno {
	WASI_SUCCESS = 0,
	WASI_EBADF = 8,
	WASI_EFAULT = 21,
	WASI_EINVAL = 28,
	WASI_ENAMETOOLONG = 37,
	WASI_ENOSPC = 51,
	WASI_ENOSYS = 52,
	WASI_ENOTDIR = 54,
	WASI_ENOTSUP = 58,
};

/* Whether the guest has that descriptor: 0, 1 or 2, and not closed. */
static inline bool wasi_has_fd(const struct invocation *call, uint64_t fd)
{
	return fd < 3 && !call->closed[fd];
}

/* wasi_process.c: arguments, environment, exit */
uint32_t wasi_sizes_get(struct guest *guest, const uint64_t *args);
uint32_t wasi_success(struct guest *guest, const uint64_t *args);
uint32_t wasi_not_offered(struct guest *guest, const uint64_t *args); /* ENOSYS */
uint32_t wasi_proc_exit(struct guest *guest, const uint64_t *args);

/* wasi_clock.c: time, randomness, waiting */
uint32_t wasi_clock_res_get(struct guest *guest, const uint64_t *args);
uint32_t wasi_clock_time_get(struct guest *guest, const uint64_t *args);
uint32_t wasi_random_get(struct guest *guest, const uint64_t *args);
uint32_t wasi_poll_oneoff(struct guest *guest, const uint64_t *args);

/* wasi_stdio.c: the three descriptors */
uint32_t wasi_fd_read(struct guest *guest, const uint64_t *args);
uint32_t wasi_fd_write(struct guest *guest, const uint64_t *args);
uint32_t wasi_fd_close(struct guest *guest, const uint64_t *args);
uint32_t wasi_fd_fdstat_get(struct guest *guest, const uint64_t *args);
uint32_t wasi_fd_fdstat_set_flags(struct guest *guest, const uint64_t *args);
uint32_t wasi_fd_filestat_get(struct guest *guest, const uint64_t *args);
uint32_t wasi_fd_prestat_get(struct guest *guest, const uint64_t *args);
uint32_t wasi_fd_prestat_dir_name(struct guest *guest, const uint64_t *args);
uint32_t wasi_fd_advise(struct guest *guest, const uint64_t *args);
uint32_t wasi_fd_readdir(struct guest *guest, const uint64_t *args);
uint32_t wasi_fd_renumber(struct guest *guest, const uint64_t *args);

/* wasi_absent.c: what would need files or sockets */
uint32_t wasi_fd_sync(struct guest *guest, const uint64_t *args);       /* success: nothing is unwritten */
uint32_t wasi_fd_not_a_file(struct guest *guest, const uint64_t *args); /* ENOSYS */
uint32_t wasi_bad_fd(struct guest *guest, const uint64_t *args);        /* EBADF, whatever the descriptor */
uint32_t wasi_path_1(struct guest *guest, const uint64_t *args);        /* fd, path, length, … */
uint32_t wasi_path_2(struct guest *guest, const uint64_t *args);        /* fd, flags, path, length, … */
uint32_t wasi_path_symlink(struct guest *guest, const uint64_t *args);  /* target, length, fd, path, length */
