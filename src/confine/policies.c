#include "confine/policies.h"
#include "base/limits.h"
#include "confine/sanitized.h"
#include <fcntl.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* What stands behind a call: the tests of its arguments. */
#define TEST(argument, mask, value)                                                                                    \
	{                                                                                                              \
		(argument), (uint64_t)(mask), (uint64_t)(value)                                                        \
	}
#define EQ(argument, value)      TEST(argument, UINT32_MAX, value) /* of an int: the kernel looks no higher */
#define IS_NULL(argument)        TEST(argument, UINT64_MAX, 0)
#define HAS_ALL(argument, bits)  TEST(argument, bits, bits)
#define HAS_NONE(argument, bits) TEST(argument, bits, 0)
#define ALWAYS                                                                                                         \
	{                                                                                                              \
		TEST(0, 0, 0)                                                                                          \
	}
#define END -1, ALWAYS

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

/* Memory, threads, time, chance and the descriptors that it was given: what every program of ours lives on. */
static const struct confine_syscall life[] = {
	{SCMP_SYS(read), ALWAYS},
	{SCMP_SYS(write), ALWAYS},
	{SCMP_SYS(readv), ALWAYS},
	{SCMP_SYS(writev), ALWAYS},
	{SCMP_SYS(pread64), ALWAYS},
	{SCMP_SYS(lseek), ALWAYS},
	{SCMP_SYS(close), ALWAYS},
	{SCMP_SYS(recvmsg), ALWAYS},
	{SCMP_SYS(recvfrom), ALWAYS},
	/*
	 * To whom a socket is connected, and to nobody else. A listener that was shut down is an unconnected TCP socket,
	 * of the network that it was made in, and MSG_FASTOPEN connects it: without connect(2), past Landlock. Without
	 * that flag a name in sendmsg(2), which cannot be seen here, is of no use to such a socket.
	 */
	{SCMP_SYS(sendmsg), {HAS_NONE(2, MSG_FASTOPEN)}},
	{SCMP_SYS(sendto), {HAS_NONE(3, MSG_FASTOPEN), IS_NULL(4)}},
	{SCMP_SYS(shutdown), ALWAYS},
	{SCMP_SYS(poll), ALWAYS},
	{SCMP_SYS(ppoll), ALWAYS},
	{SCMP_SYS(eventfd2), ALWAYS},
	{SCMP_SYS(fstat), ALWAYS},
	{SCMP_SYS(newfstatat), {EQ(3, AT_EMPTY_PATH)}},
	{SCMP_SYS(fcntl), {EQ(1, F_GETFD)}},
	{SCMP_SYS(fcntl), {EQ(1, F_SETFD)}},
	{SCMP_SYS(fcntl), {EQ(1, F_GETFL)}},
	{SCMP_SYS(fcntl), {EQ(1, F_SETFL)}},
	{SCMP_SYS(fcntl), {EQ(1, F_DUPFD_CLOEXEC)}},
	{SCMP_SYS(brk), ALWAYS},
	{SCMP_SYS(munmap), ALWAYS},
	{SCMP_SYS(mremap), ALWAYS},
	{SCMP_SYS(madvise), ALWAYS},
	{SCMP_SYS(mlock), ALWAYS},
	{SCMP_SYS(mlock2), ALWAYS},
	{SCMP_SYS(munlock), ALWAYS},
	{SCMP_SYS(futex), ALWAYS},
	{SCMP_SYS(set_robust_list), ALWAYS},
	{SCMP_SYS(rseq), ALWAYS},
	{SCMP_SYS(membarrier), ALWAYS},
	{SCMP_SYS(sched_yield), ALWAYS},
	{SCMP_SYS(sched_getaffinity), ALWAYS},
	{SCMP_SYS(gettid), ALWAYS},
	{SCMP_SYS(getpid), ALWAYS},
	{SCMP_SYS(exit), ALWAYS},
	{SCMP_SYS(exit_group), ALWAYS},
	{SCMP_SYS(restart_syscall), ALWAYS},
	/* A thread, never a process. */
	{SCMP_SYS(clone), {HAS_ALL(0, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)}},
	{SCMP_SYS(prctl), {EQ(0, PR_SET_NAME)}},
	{SCMP_SYS(prctl), {EQ(0, PR_SET_VMA)}},
	/* Look at limits, not set them. */
	{SCMP_SYS(prlimit64), {IS_NULL(2)}},
	{SCMP_SYS(rt_sigaction), ALWAYS},
	{SCMP_SYS(rt_sigprocmask), ALWAYS},
	{SCMP_SYS(rt_sigreturn), ALWAYS},
	{SCMP_SYS(sigaltstack), ALWAYS},
	/* abort() */
	{SCMP_SYS(tgkill), {EQ(0, CONFINE_OWN_PID)}},
	{SCMP_SYS(clock_gettime), ALWAYS},
	{SCMP_SYS(clock_getres), ALWAYS},
	{SCMP_SYS(clock_nanosleep), ALWAYS},
	{SCMP_SYS(nanosleep), ALWAYS},
	{SCMP_SYS(gettimeofday), ALWAYS},
	{SCMP_SYS(getrandom), ALWAYS},
	{END},
};

/* Memory that stays data. */
static const struct confine_syscall data_only[] = {
	{SCMP_SYS(mmap), {HAS_NONE(2, PROT_EXEC)}},
	{SCMP_SYS(mprotect), {HAS_NONE(2, PROT_EXEC)}},
	{END},
};

/* For an engine that compiles only into memory that could run (Wasmtime's plain C API). */
static const struct confine_syscall executable[] = {
	{SCMP_SYS(mmap), ALWAYS},
	{SCMP_SYS(mprotect), ALWAYS},
	{END},
};

/* What the sanitizers' run-time calls beyond that; empty in a build without. */
static const struct confine_syscall sanitizer[] = {
#if CONFINE_SANITIZED
	{SCMP_SYS(mmap), ALWAYS},
	{SCMP_SYS(mprotect), ALWAYS},
	{SCMP_SYS(getrusage), ALWAYS},
	{SCMP_SYS(set_tid_address), ALWAYS},
#endif
	{END},
};

/* Compiled code goes into a file. */
static const struct confine_syscall output[] = {
	{SCMP_SYS(ftruncate), ALWAYS},
	{SCMP_SYS(pwrite64), ALWAYS},
	{END},
};

/*
 * Loading maps the code and makes it executable; a memory image that does not come from a file gets a sealed memfd.
 * Then there is the way to the next table.
 */
static const struct confine_syscall loading[] = {
	{SCMP_SYS(mmap), ALWAYS},
	{SCMP_SYS(mprotect), ALWAYS},
	{SCMP_SYS(memfd_create), ALWAYS},
	{SCMP_SYS(ftruncate), ALWAYS},
	{SCMP_SYS(pwrite64), ALWAYS},
	{SCMP_SYS(fcntl), {EQ(1, F_ADD_SEALS)}},
	{SCMP_SYS(seccomp), {EQ(0, SECCOMP_SET_MODE_FILTER)}},
	{SCMP_SYS(seccomp), {EQ(0, SECCOMP_GET_ACTION_AVAIL)}},
	{END},
};

/* Reading alone; O_PATH, which Landlock does not see, is no reading. */
#define NOT_READING (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY) | O_PATH)

/* The low bits of a socket's type; above them are flags such as SOCK_CLOEXEC. */
#define SOCKET_KIND(kind) TEST(1, 0xf, kind)

static const struct confine_syscall network[] = {
	/* Out, over TCP and UDP: no other family or protocol, no bind, no listen. */
	{SCMP_SYS(socket), {EQ(0, AF_INET), SOCKET_KIND(SOCK_STREAM), EQ(2, 0)}},
	{SCMP_SYS(socket), {EQ(0, AF_INET), SOCKET_KIND(SOCK_STREAM), EQ(2, IPPROTO_TCP)}},
	{SCMP_SYS(socket), {EQ(0, AF_INET), SOCKET_KIND(SOCK_DGRAM), EQ(2, 0)}},
	{SCMP_SYS(socket), {EQ(0, AF_INET), SOCKET_KIND(SOCK_DGRAM), EQ(2, IPPROTO_UDP)}},
	{SCMP_SYS(socket), {EQ(0, AF_INET6), SOCKET_KIND(SOCK_STREAM), EQ(2, 0)}},
	{SCMP_SYS(socket), {EQ(0, AF_INET6), SOCKET_KIND(SOCK_STREAM), EQ(2, IPPROTO_TCP)}},
	{SCMP_SYS(socket), {EQ(0, AF_INET6), SOCKET_KIND(SOCK_DGRAM), EQ(2, 0)}},
	{SCMP_SYS(socket), {EQ(0, AF_INET6), SOCKET_KIND(SOCK_DGRAM), EQ(2, IPPROTO_UDP)}},
	{SCMP_SYS(connect), ALWAYS},
	{SCMP_SYS(getsockname), ALWAYS},
	{SCMP_SYS(getpeername), ALWAYS},
	{SCMP_SYS(getsockopt), ALWAYS},
	{SCMP_SYS(setsockopt), ALWAYS},
	/* The resolver's questions, over UDP; TCP begins with connect(2), which Landlock sees. */
	{SCMP_SYS(sendto), {HAS_NONE(3, MSG_FASTOPEN)}},
	{SCMP_SYS(sendmmsg), {HAS_NONE(3, MSG_FASTOPEN)}},
	{SCMP_SYS(recvmmsg), ALWAYS},
	/* The resolver asks how long an answer is. */
	{SCMP_SYS(ioctl), {EQ(1, FIONREAD)}},
	{SCMP_SYS(ioctl), {EQ(1, FIONBIO)}},
	{END},
};

static const struct confine_syscall event_loop[] = {
	{SCMP_SYS(epoll_create1), ALWAYS},
	{SCMP_SYS(epoll_ctl), ALWAYS},
	{SCMP_SYS(epoll_wait), ALWAYS},
	{SCMP_SYS(epoll_pwait), ALWAYS},
	{SCMP_SYS(pipe2), ALWAYS},
	/* A pair of streams leads nowhere else; datagram sockets could be connected to any other of the machine. */
	{SCMP_SYS(socketpair), {EQ(0, AF_UNIX), SOCKET_KIND(SOCK_STREAM)}},
	{END},
};

static const struct confine_syscall reading[] = {
	/* Which files is for Landlock to say. */
	{SCMP_SYS(openat), {HAS_NONE(2, NOT_READING)}},
	{SCMP_SYS(open), {HAS_NONE(1, NOT_READING)}},
	{SCMP_SYS(newfstatat), ALWAYS},
	{SCMP_SYS(stat), ALWAYS},
	{SCMP_SYS(uname), ALWAYS},
	{SCMP_SYS(sysinfo), ALWAYS},
	{SCMP_SYS(getuid), ALWAYS},
	{SCMP_SYS(geteuid), ALWAYS},
	{SCMP_SYS(getgid), ALWAYS},
	{SCMP_SYS(getegid), ALWAYS},
	/* Modules of the resolver are mapped to run, from files; nothing that was written is ever made executable. */
	{SCMP_SYS(mmap), {HAS_NONE(2, PROT_EXEC)}},
	{SCMP_SYS(mmap), {HAS_NONE(2, PROT_WRITE)}},
	{SCMP_SYS(mprotect), {HAS_NONE(2, PROT_EXEC)}},
	{END},
};

/* Files beneath its own folder, which Landlock and the root see to; none is made but ordinary ones, none executed. */
#define NEVER_OPENED (O_PATH | (O_TMPFILE & ~O_DIRECTORY))
static const struct confine_syscall own_files[] = {
	{SCMP_SYS(openat), {HAS_NONE(2, NEVER_OPENED)}},
	{SCMP_SYS(open), {HAS_NONE(1, NEVER_OPENED)}},
	{SCMP_SYS(newfstatat), ALWAYS},
	{SCMP_SYS(stat), ALWAYS},
	{SCMP_SYS(lstat), ALWAYS},
	{SCMP_SYS(access), ALWAYS},
	{SCMP_SYS(faccessat), ALWAYS},
	{SCMP_SYS(faccessat2), ALWAYS},
	{SCMP_SYS(readlink), ALWAYS},
	{SCMP_SYS(readlinkat), ALWAYS},
	{SCMP_SYS(getcwd), ALWAYS},
	{SCMP_SYS(getdents64), ALWAYS},
	{SCMP_SYS(pwrite64), ALWAYS},
	{SCMP_SYS(preadv), ALWAYS},
	{SCMP_SYS(pwritev), ALWAYS},
	{SCMP_SYS(ftruncate), ALWAYS},
	{SCMP_SYS(fallocate), ALWAYS},
	{SCMP_SYS(fsync), ALWAYS},
	{SCMP_SYS(fdatasync), ALWAYS},
	{SCMP_SYS(fstatfs), ALWAYS},
	{SCMP_SYS(flock), ALWAYS},
	{SCMP_SYS(fcntl), {EQ(1, F_GETLK)}},
	{SCMP_SYS(fcntl), {EQ(1, F_SETLK)}},
	{SCMP_SYS(fcntl), {EQ(1, F_SETLKW)}},
	{SCMP_SYS(rename), ALWAYS},
	{SCMP_SYS(renameat), ALWAYS},
	{SCMP_SYS(renameat2), ALWAYS},
	{SCMP_SYS(unlink), ALWAYS},
	{SCMP_SYS(unlinkat), ALWAYS},
	/* Two names of one file, to keep the old one while the new one takes its name. */
	{SCMP_SYS(link), ALWAYS},
	{SCMP_SYS(linkat), {HAS_NONE(4, AT_EMPTY_PATH)}},
	{SCMP_SYS(fchmod), ALWAYS},
	{SCMP_SYS(umask), ALWAYS},
	{SCMP_SYS(getuid), ALWAYS},
	{SCMP_SYS(geteuid), ALWAYS},
	{SCMP_SYS(getgid), ALWAYS},
	{SCMP_SYS(getegid), ALWAYS},
	{SCMP_SYS(uname), ALWAYS},
	{SCMP_SYS(sysinfo), ALWAYS},
	{SCMP_SYS(getrusage), ALWAYS},
	{END},
};

/* Sockets come ready: the listeners from the parent, connections out of those. None is made, named or connected. */
static const struct confine_syscall connections[] = {
	{SCMP_SYS(accept4), ALWAYS},
	{SCMP_SYS(accept), ALWAYS},
	{SCMP_SYS(getsockname), ALWAYS},
	{SCMP_SYS(getpeername), ALWAYS},
	{SCMP_SYS(getsockopt), ALWAYS},
	{SCMP_SYS(setsockopt), {EQ(1, IPPROTO_TCP), EQ(2, TCP_NODELAY)}},
	{SCMP_SYS(ioctl), {EQ(1, FIONBIO)}},
	{SCMP_SYS(ioctl), {EQ(1, FIONREAD)}},
	{END},
};

/* Handing bytes to another process: a sealed file that has no name. */
static const struct confine_syscall memory_files[] = {
	{SCMP_SYS(memfd_create), ALWAYS},
	{SCMP_SYS(fcntl), {EQ(1, F_ADD_SEALS)}},
	{SCMP_SYS(fcntl), {EQ(1, F_GET_SEALS)}},
	{END},
};

/* New standard error, when the log is reopened. */
static const struct confine_syscall log_reopening[] = {
	{SCMP_SYS(dup2), {EQ(1, STDERR_FILENO)}},
	{SCMP_SYS(dup3), {EQ(1, STDERR_FILENO)}},
	{END},
};

static const struct confine_syscall *const runner_compile_calls[] = {life, data_only, output, sanitizer, NULL};
static const struct confine_syscall *const runner_compile_mapped_calls[] = {life, executable, output, sanitizer, NULL};
static const struct confine_syscall *const runner_serve_calls[] = {life, loading, sanitizer, NULL};
static const struct confine_syscall *const runner_serving_calls[] = {life, data_only, sanitizer, NULL};
static const struct confine_syscall *const egress_calls[] = {life,          network,   event_loop, reading,
							     log_reopening, sanitizer, NULL};
static const struct confine_syscall *const control_calls[] = {
	life, data_only, own_files, connections, event_loop, memory_files, log_reopening, sanitizer, NULL};
static const struct confine_syscall *const keeper_calls[] = {life,          data_only, own_files,
							     log_reopening, sanitizer, NULL};

static const struct confine_path egress_paths[] = {
	/* What the resolver reads; its file is often a link to one of the folders, where it is replaced by renaming. */
	{"/etc/resolv.conf", false},
	{"/run/systemd/resolve", false},
	{"/run/resolvconf", false},
	{"/run/NetworkManager", false},
	{"/etc/hosts", false},
	{"/etc/nsswitch.conf", false},
	{"/etc/host.conf", false},
	{"/etc/gai.conf", false},
	{"/etc/services", false},
	{"/etc/protocols", false},
	/* trust_system_bundles (http/trust.h): read once, at the start; a link is followed when the rule is made. */
	{"/etc/ssl/certs/ca-certificates.crt", false},
	{"/etc/pki/tls/certs/ca-bundle.crt", false},
	{"/etc/ssl/ca-bundle.pem", false},
	{"/etc/ssl/cert.pem", false},
	/* Modules of the resolver, and what they link. */
	{"/etc/ld.so.cache", false},
	{"/lib/x86_64-linux-gnu", false},
	{"/usr/lib/x86_64-linux-gnu", false},
	{"/lib/aarch64-linux-gnu", false},
	{"/usr/lib/aarch64-linux-gnu", false},
	{"/lib64", false},
	{"/usr/lib64", false},
	{NULL, false},
};

/*
 * No limit on the size of files for what writes none: the seccomp and Landlock tables see to that, and standard error
 * may be a long file already. Sanitizers reserve terabytes, so a sanitizer build has no limit on memory.
 */
static const struct confine_rlimit runner_compile_rlimits[] = {
	{RLIMIT_CORE, 0},
	{RLIMIT_NOFILE, 64},
	{RLIMIT_FSIZE, LIMIT_COMPILED_CODE + 16 * MIB}, /* beside the code, an index of it */
#if !CONFINE_SANITIZED
	{RLIMIT_DATA, LIMIT_COMPILE_MEMORY},
#endif
	{-1, 0},
};

static const struct confine_rlimit runner_serve_rlimits[] = {
	{RLIMIT_CORE, 0},
	{RLIMIT_NOFILE, 64},
	{-1, 0},
};

static const struct confine_rlimit egress_rlimits[] = {
	{RLIMIT_CORE, 0},
	{RLIMIT_NOFILE, 1024},
	{-1, 0},
};

static const struct confine_rlimit control_rlimits[] = {
	{RLIMIT_CORE, 0},
	{RLIMIT_NOFILE, 8192}, /* a connection each, idle ones too */
	{-1, 0},
};

static const struct confine_rlimit keeper_rlimits[] = {
	{RLIMIT_CORE, 0},
	{RLIMIT_NOFILE, 64},
	{-1, 0},
};

#define ENTERED  (CLONE_NEWUSER | CLONE_NEWIPC | CLONE_NEWUTS)
#define ISOLATED (ENTERED | CLONE_NEWPID)
/* Two threads cannot enter a user namespace, and the run-time of ThreadSanitizer has one of its own. */
#define ENTERS (!CONFINE_SANITIZED_THREAD)

const struct confine_policy confine_runner_compile = {
	.name = "runner-compile",
	.namespaces = ISOLATED | CLONE_NEWNS | CLONE_NEWNET,
	.syscalls = runner_compile_calls,
	.rlimits = runner_compile_rlimits,
};

const struct confine_policy confine_runner_compile_mapped = {
	.name = "runner-compile",
	.namespaces = ISOLATED | CLONE_NEWNS | CLONE_NEWNET,
	.syscalls = runner_compile_mapped_calls,
	.rlimits = runner_compile_rlimits,
};

const struct confine_policy confine_runner_serve = {
	.name = "runner-serve",
	.namespaces = ISOLATED | CLONE_NEWNS | CLONE_NEWNET,
	.syscalls = runner_serve_calls,
	.rlimits = runner_serve_rlimits,
};

const struct confine_policy confine_runner_serving = {
	.name = "runner-serving",
	.syscalls = runner_serving_calls,
};

const struct confine_policy confine_egress = {
	.name = "egress",
	.namespaces = ENTERED,
	.enters = ENTERS,
	.syscalls = egress_calls,
	.paths = egress_paths,
	.rlimits = egress_rlimits,
	.connects = true,
};

const struct confine_policy confine_control = {
	.name = "control",
	.namespaces = ENTERED | CLONE_NEWNS | CLONE_NEWNET,
	.enters = ENTERS,
	.syscalls = control_calls,
	.rlimits = control_rlimits,
};

const struct confine_policy confine_keeper = {
	.name = "keeper",
	.namespaces = ENTERED | CLONE_NEWNS | CLONE_NEWNET,
	.enters = ENTERS,
	.syscalls = keeper_calls,
	.rlimits = keeper_rlimits,
};
