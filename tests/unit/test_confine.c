/*
 * This program is its own confined child: "test_confine MODE POLICY PARENT NAMESPACES". It confines itself, sends the
 * report through descriptor 3, and then whatever the mode says, as text. What a policy forbids is tried from inside and
 * the exact errno compared, so each wall is seen to stand.
 */
#include "base/limits.h"
#include "confine/policies.h"
#include "confine/sanitized.h"
#include "os/child.h"
#include "text/wire.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <cmocka.h>

#define OUT 3 /* the child's socket to the test; descriptors from 4 up are to be closed */

/* ---- inside: acts that answer with an errno, 0 when they were let through */

static int parent_pid;

/* Addresses and numbers in one list; the call sees registers either way. */
#define TRY(...) (syscall(__VA_ARGS__) < 0 ? errno : 0)

static int try_open(const char *path, int flags)
{
	return TRY(SYS_openat, AT_FDCWD, path, flags, 0600);
}

static int open_passwd(void)
{
	return try_open("/etc/passwd", O_RDONLY);
}
static int open_root(void)
{
	return try_open("/", O_RDONLY | O_DIRECTORY);
}
static int open_path_only(void)
{
	return try_open("/etc/passwd", O_PATH);
}
static int open_for_writing(void)
{
	return try_open("/tmp/test_confine_made", O_WRONLY | O_CREAT | O_EXCL);
}
static int open_unnamed(void)
{
	return try_open("/tmp", O_TMPFILE | O_RDWR);
}
static int open_append(void)
{
	return try_open("/etc/hosts", O_RDONLY | O_APPEND);
}
static int open_own_memory(void)
{
	return try_open("/proc/self/mem", O_RDONLY);
}
static int open_parents_environment(void)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/environ", parent_pid);
	return try_open(path, O_RDONLY);
}
static int open_proc_root(void)
{
	return try_open("/proc/self/root/etc/passwd", O_RDONLY);
}
static int open_device(void)
{
	return try_open("/dev/null", O_RDONLY);
}
static int open_hosts(void)
{
	int error = try_open("/etc/hosts", O_RDONLY);
	return error == ENOENT ? 0 : error; /* a machine may have none */
}
static int open2(void)
{
	uint64_t how[3] = {0};
	return TRY(SYS_openat2, AT_FDCWD, "/etc/passwd", how, sizeof how);
}
static int look_at_file(void)
{
	struct stat info;
	return TRY(SYS_newfstatat, AT_FDCWD, "/", &info, 0);
}
static int read_link(void)
{
	char text[16];
	return TRY(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", text, sizeof text);
}
static int change_folder(void)
{
	return TRY(SYS_chdir, "/");
}
static int make_folder(void)
{
	return TRY(SYS_mkdirat, AT_FDCWD, "/tmp/test_confine_made", 0700);
}
static int make_link(void)
{
	return TRY(SYS_symlinkat, "/etc", AT_FDCWD, "/tmp/test_confine_made");
}
static int remove_file(void)
{
	return TRY(SYS_unlinkat, AT_FDCWD, "/tmp/test_confine_made", 0);
}
static int rename_file(void)
{
	return TRY(SYS_renameat2, AT_FDCWD, "/tmp/test_confine_made", AT_FDCWD, "/tmp/test_confine_other", 0);
}
static int change_mode(void)
{
	return TRY(SYS_fchmodat, AT_FDCWD, "/tmp/test_confine_made", 0777);
}
static int change_owner_of_descriptor(void)
{
	return TRY(SYS_fchown, OUT, -1, -1);
}
static int cut_file(void)
{
	return TRY(SYS_truncate, "/tmp/test_confine_made", 0L);
}

static int try_socket(int family, int type, int protocol)
{
	return TRY(SYS_socket, family, type, protocol);
}

static int socket_tcp(void)
{
	return try_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
}
static int socket_tcp6(void)
{
	int error = try_socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
	return error == EAFNOSUPPORT ? 0 : error; /* the kernel has none; the filter did not mind */
}
static int socket_udp(void)
{
	return try_socket(AF_INET, SOCK_DGRAM, 0);
}
static int socket_raw(void)
{
	return try_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}
static int socket_ping(void)
{
	return try_socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
}
static int socket_mptcp(void)
{
	return try_socket(AF_INET, SOCK_STREAM, 262);
}
static int socket_unix(void)
{
	return try_socket(AF_UNIX, SOCK_STREAM, 0);
}
static int socket_unix_datagram(void)
{
	return try_socket(AF_UNIX, SOCK_DGRAM, 0);
}
static int socket_netlink(void)
{
	return try_socket(AF_NETLINK, SOCK_RAW, 0);
}
static int socket_packet(void)
{
	return try_socket(AF_PACKET, SOCK_RAW, 0);
}
static int socket_vsock(void)
{
	return try_socket(AF_VSOCK, SOCK_STREAM, 0);
}
static int socket_alg(void)
{
	return try_socket(AF_ALG, SOCK_SEQPACKET, 0);
}
static int pair_of_streams(void)
{
	int pair[2];
	return TRY(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
}
static int pair_of_datagrams(void)
{
	int pair[2];
	return TRY(SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, pair);
}

/* Where the test listens, in the namespace of the machine that has no files. */
static struct sockaddr_un abstract_address(int pid)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "test_confine-%d", pid);
	return address;
}

static int connect_to_abstract_address(void)
{
	struct sockaddr_un address = abstract_address(parent_pid);
	return TRY(SYS_connect, OUT, &address, sizeof address); /* a stream that is connected already */
}
static int bind_own_socket(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0test_confine"};
	return TRY(SYS_bind, OUT, &address, sizeof address);
}
static int bind_tcp(void)
{
	int fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	return TRY(SYS_bind, fd, &address, sizeof address);
}
static int listen_unbound(void)
{
	int fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
	return TRY(SYS_listen, fd, 1);
}
static int accept_connection(void)
{
	return TRY(SYS_accept4, OUT, NULL, NULL, 0);
}

static const char *const no_words[] = {NULL};

static int execute(void)
{
	return TRY(SYS_execve, "/bin/true", no_words, no_words);
}
static int execute_descriptor(void)
{
	return TRY(SYS_execveat, OUT, "", no_words, no_words, AT_EMPTY_PATH);
}
static int make_memory_file(void)
{
	return TRY(SYS_memfd_create, "x", 0);
}
static int fork_by_clone(void)
{
	return TRY(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}
static int fork_sharing_memory(void)
{
	return TRY(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL, NULL, NULL, NULL);
}
static int fork_by_clone3(void)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	return TRY(SYS_clone3, &args, sizeof args);
}
static void *nothing(void *argument)
{
	return argument;
}
static int start_thread(void)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, nothing, NULL);
	return error != 0 ? error : pthread_join(thread, NULL);
}

static int signal_parent(void)
{
	return TRY(SYS_kill, parent_pid, 0);
}
static int signal_itself(void)
{
	return TRY(SYS_kill, getpid(), 0);
}
static int signal_thread_of_parent(void)
{
	return TRY(SYS_tgkill, parent_pid, parent_pid, 0);
}
static int signal_own_thread(void)
{
	return TRY(SYS_tgkill, getpid(), gettid(), 0);
}
static int open_process(void)
{
	return TRY(SYS_pidfd_open, parent_pid, 0);
}
static int trace_parent(void)
{
	return TRY(SYS_ptrace, PTRACE_SEIZE, parent_pid, NULL, NULL);
}
static int be_traced(void)
{
	return TRY(SYS_ptrace, PTRACE_TRACEME, 0, NULL, NULL);
}
static int read_memory_of_parent(void)
{
	char byte;
	struct iovec here = {&byte, 1};
	return TRY(SYS_process_vm_readv, parent_pid, &here, 1, &here, 1, 0);
}
static int write_memory_of_parent(void)
{
	char byte = 0;
	struct iovec here = {&byte, 1};
	return TRY(SYS_process_vm_writev, parent_pid, &here, 1, &here, 1, 0);
}

static int set_up_io_uring(void)
{
	char params[256] = {0};
	return TRY(SYS_io_uring_setup, 1, params);
}
static int load_bpf(void)
{
	char attr[128] = {0};
	return TRY(SYS_bpf, 5, attr, sizeof attr);
}
static int open_userfaultfd(void)
{
	return TRY(SYS_userfaultfd, 0);
}
static int open_perf(void)
{
	char attr[128] = {0};
	return TRY(SYS_perf_event_open, attr, 0, -1, -1, 0);
}
static int use_keyring(void)
{
	return TRY(SYS_keyctl, 0, -3, 0);
}
static int mount_something(void)
{
	return TRY(SYS_mount, "none", "/", "tmpfs", 0, NULL);
}
static int change_root(void)
{
	return TRY(SYS_chroot, "/");
}
static int unshare_user(void)
{
	return TRY(SYS_unshare, CLONE_NEWUSER);
}
static int enter_namespace(void)
{
	return TRY(SYS_setns, OUT, 0);
}
static int become_dumpable(void)
{
	return TRY(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
}
static int outlive_parent(void)
{
	return TRY(SYS_prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0);
}
static int name_thread(void)
{
	return TRY(SYS_prctl, PR_SET_NAME, "test", 0, 0, 0);
}
static int be_another_user(void)
{
	return TRY(SYS_setresuid, -1, -1, -1);
}
static int execute_what_is_read(void)
{
	return TRY(SYS_personality, 0x0400000);
}
static int raise_limit(void)
{
	struct rlimit limit = {0};
	return TRY(SYS_prlimit64, 0, RLIMIT_CORE, &limit, NULL);
}
static int look_at_limit(void)
{
	struct rlimit limit;
	return TRY(SYS_prlimit64, 0, RLIMIT_CORE, NULL, &limit);
}
static int push_terminal_input(void)
{
	return TRY(SYS_ioctl, OUT, 0x5412 /* TIOCSTI */, "x");
}
static int own_descriptor_signals(void)
{
	return TRY(SYS_fcntl, OUT, F_SETOWN, 1);
}
static int share_memory(void)
{
	return TRY(SYS_shmget, 0, 4096, 01600);
}

static int map(int prot)
{
	long got = syscall(SYS_mmap, NULL, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return got == -1 ? errno : 0;
}
static int map_code(void)
{
	return map(PROT_READ | PROT_EXEC);
}
static int map_writable_code(void)
{
	return map(PROT_READ | PROT_WRITE | PROT_EXEC);
}
static int map_data(void)
{
	return map(PROT_READ | PROT_WRITE);
}
static int make_data_code(void)
{
	long page = syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return TRY(SYS_mprotect, page, 4096, PROT_READ | PROT_EXEC);
}
static int make_data_code_with_key(void)
{
	long page = syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return TRY(SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_EXEC, -1);
}
static int filter_more(void)
{
	uint32_t action = SECCOMP_RET_ALLOW;
	return TRY(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action);
}
static int use_closed_descriptor(void)
{
	return TRY(SYS_fcntl, OUT + 1, F_GETFD);
}
static int ask_time_and_chance(void)
{
	struct timespec now;
	char bytes[8];
	int error = TRY(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &now);
	return error != 0 ? error : TRY(SYS_getrandom, bytes, sizeof bytes, 0);
}

#define SAN(otherwise, sanitized) (CONFINE_SANITIZED ? (sanitized) : (otherwise))

/* Columns: `compile`, `serve` until the code is loaded, `serve` then, egress. */
enum { COMPILE, SERVE, SERVING, EGRESS, COLUMNS };
static const struct {
	const char *name;
	int (*act)(void);
	int errors[COLUMNS];
} battery[] = {
#define ROW(act, ...)                                                                                                  \
	{                                                                                                              \
#act, act,                                                                                             \
		{                                                                                                      \
			__VA_ARGS__                                                                                    \
		}                                                                                                      \
	}
	ROW(use_closed_descriptor, EBADF, EBADF, EBADF, EBADF), /* first, before its number is used again */
	ROW(open_passwd, EPERM, EPERM, EPERM, EACCES),
	ROW(open_root, EPERM, EPERM, EPERM, EACCES),
	ROW(open_path_only, EPERM, EPERM, EPERM, EPERM),
	ROW(open_for_writing, EPERM, EPERM, EPERM, EPERM),
	ROW(open_unnamed, EPERM, EPERM, EPERM, EPERM),
	ROW(open_append, EPERM, EPERM, EPERM, EPERM),
	ROW(open_own_memory, EPERM, EPERM, EPERM, EACCES),
	ROW(open_parents_environment, EPERM, EPERM, EPERM, EACCES),
	ROW(open_proc_root, EPERM, EPERM, EPERM, EACCES),
	ROW(open_device, EPERM, EPERM, EPERM, EACCES),
	ROW(open_hosts, EPERM, EPERM, EPERM, 0),
	ROW(open2, EPERM, EPERM, EPERM, EPERM),
	ROW(look_at_file, EPERM, EPERM, EPERM, 0),
	ROW(read_link, EPERM, EPERM, EPERM, EPERM),
	ROW(change_folder, EPERM, EPERM, EPERM, EPERM),
	ROW(make_folder, EPERM, EPERM, EPERM, EPERM),
	ROW(make_link, EPERM, EPERM, EPERM, EPERM),
	ROW(remove_file, EPERM, EPERM, EPERM, EPERM),
	ROW(rename_file, EPERM, EPERM, EPERM, EPERM),
	ROW(change_mode, EPERM, EPERM, EPERM, EPERM),
	ROW(change_owner_of_descriptor, EPERM, EPERM, EPERM, EPERM),
	ROW(cut_file, EPERM, EPERM, EPERM, EPERM),
	ROW(socket_tcp, EPERM, EPERM, EPERM, 0),
	ROW(socket_tcp6, EPERM, EPERM, EPERM, 0),
	ROW(socket_udp, EPERM, EPERM, EPERM, 0),
	ROW(socket_raw, EPERM, EPERM, EPERM, EPERM),
	ROW(socket_ping, EPERM, EPERM, EPERM, EPERM),
	ROW(socket_mptcp, EPERM, EPERM, EPERM, EPERM),
	ROW(socket_unix, EPERM, EPERM, EPERM, EPERM),
	ROW(socket_unix_datagram, EPERM, EPERM, EPERM, EPERM),
	ROW(socket_netlink, EPERM, EPERM, EPERM, EPERM),
	ROW(socket_packet, EPERM, EPERM, EPERM, EPERM),
	ROW(socket_vsock, EPERM, EPERM, EPERM, EPERM),
	ROW(socket_alg, EPERM, EPERM, EPERM, EPERM),
	ROW(pair_of_streams, EPERM, EPERM, EPERM, 0),
	ROW(pair_of_datagrams, EPERM, EPERM, EPERM, EPERM),
	ROW(connect_to_abstract_address, EPERM, EPERM, EPERM, EISCONN),
	ROW(bind_own_socket, EPERM, EPERM, EPERM, EPERM),
	ROW(bind_tcp, EPERM, EPERM, EPERM, EPERM),
	ROW(listen_unbound, EPERM, EPERM, EPERM, EPERM),
	ROW(accept_connection, EPERM, EPERM, EPERM, EPERM),
	ROW(execute, EPERM, EPERM, EPERM, EPERM),
	ROW(execute_descriptor, EPERM, EPERM, EPERM, EPERM),
	ROW(make_memory_file, EPERM, 0, EPERM, EPERM),
	ROW(fork_by_clone, EPERM, EPERM, EPERM, EPERM),
	ROW(fork_sharing_memory, EPERM, EPERM, EPERM, EPERM),
	ROW(fork_by_clone3, ENOSYS, ENOSYS, ENOSYS, ENOSYS),
	ROW(start_thread, 0, 0, 0, 0),
	ROW(signal_parent, EPERM, EPERM, EPERM, EPERM),
	ROW(signal_itself, EPERM, EPERM, EPERM, EPERM),
	ROW(signal_thread_of_parent, EPERM, EPERM, EPERM, EPERM),
	ROW(signal_own_thread, 0, 0, 0, 0),
	ROW(open_process, EPERM, EPERM, EPERM, EPERM),
	ROW(trace_parent, EPERM, EPERM, EPERM, EPERM),
	ROW(be_traced, EPERM, EPERM, EPERM, EPERM),
	ROW(read_memory_of_parent, EPERM, EPERM, EPERM, EPERM),
	ROW(write_memory_of_parent, EPERM, EPERM, EPERM, EPERM),
	ROW(set_up_io_uring, EPERM, EPERM, EPERM, EPERM),
	ROW(load_bpf, EPERM, EPERM, EPERM, EPERM),
	ROW(open_userfaultfd, EPERM, EPERM, EPERM, EPERM),
	ROW(open_perf, EPERM, EPERM, EPERM, EPERM),
	ROW(use_keyring, EPERM, EPERM, EPERM, EPERM),
	ROW(mount_something, EPERM, EPERM, EPERM, EPERM),
	ROW(change_root, EPERM, EPERM, EPERM, EPERM),
	ROW(unshare_user, EPERM, EPERM, EPERM, EPERM),
	ROW(enter_namespace, EPERM, EPERM, EPERM, EPERM),
	ROW(become_dumpable, EPERM, EPERM, EPERM, EPERM),
	ROW(outlive_parent, EPERM, EPERM, EPERM, EPERM),
	ROW(name_thread, 0, 0, 0, 0),
	ROW(be_another_user, EPERM, EPERM, EPERM, EPERM),
	ROW(execute_what_is_read, EPERM, EPERM, EPERM, EPERM),
	ROW(raise_limit, EPERM, EPERM, EPERM, EPERM),
	ROW(look_at_limit, 0, 0, 0, 0),
	ROW(push_terminal_input, EPERM, EPERM, EPERM, EPERM),
	ROW(own_descriptor_signals, EPERM, EPERM, EPERM, EPERM),
	ROW(share_memory, EPERM, EPERM, EPERM, EPERM),
	ROW(map_data, 0, 0, 0, 0),
	ROW(map_code, SAN(EPERM, 0), 0, SAN(EPERM, 0), 0),
	ROW(map_writable_code, SAN(EPERM, 0), 0, SAN(EPERM, 0), SAN(EPERM, 0)),
	ROW(make_data_code, SAN(EPERM, 0), 0, SAN(EPERM, 0), SAN(EPERM, 0)),
	ROW(make_data_code_with_key, EPERM, EPERM, EPERM, EPERM),
	ROW(filter_more, EPERM, 0, EPERM, EPERM),
	ROW(ask_time_and_chance, 0, 0, 0, 0),
#undef ROW
};

/* ---- inside: the modes */

static const struct confine_policy *const policies[COLUMNS] = {&confine_runner_compile, &confine_runner_serve,
							       &confine_runner_serving, &confine_egress};

__attribute__((format(printf, 1, 2))) static void say(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (write(OUT, line, strlen(line)) < 0)
		_exit(9);
}

static void mode_report(int column)
{
	(void)column;
}

static void mode_battery(int column)
{
	(void)column;
	for (size_t i = 0; i < ARRAY_LEN(battery); i++)
		say("%s %d\n", battery[i].name, battery[i].act());
}

static bool lists(const struct confine_policy *policy, int number)
{
	for (const struct confine_syscall *const *group = policy->syscalls; *group != NULL; group++) {
		for (const struct confine_syscall *row = *group; row->number != -1; row++) {
			if (row->number == number)
				return true;
		}
	}
	return false;
}

/* uretprobe and uprobe of x86-64: for the kernel's own trampolines, past every filter, and deadly for others. */
static bool is_kernels_own(int number)
{
#if defined(__x86_64__)
	return number == 335 || number == 336;
#else
	return number < 0;
#endif
}

/* Every number that there is or may come: what the table does not name fails with EPERM, whatever it may do one day. */
static void mode_sweep(int column)
{
	int through = 0, tried = 0;
	if (TRY(SYS_getppid) != EPERM)
		return say("no wall\n"); /* then the rest would do harm */
	for (int number = 0; number < 1024; number++) {
		if (lists(policies[column], number) || number == SYS_clone3 || is_kernels_own(number))
			continue;
		tried++;
		if (syscall(number, 0, 0, 0, 0, 0, 0) != -1 || errno != EPERM) {
			through++;
			say("%d let through\n", number);
		}
	}
	say("tried %s, %d let through\n", tried > 900 ? "all" : "some", through);
}

/* A thread that was there before the second table is bound by it too. */
static pthread_barrier_t barrier;
static void *map_code_later(void *ret_error)
{
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	*(int *)ret_error = make_memory_file();
	return NULL;
}

static void mode_tighten(int column)
{
	(void)column;
	int here = make_memory_file(), there = -1;
	pthread_t thread;
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, map_code_later, &there);
	pthread_barrier_wait(&barrier);
	struct err err = {0};
	if (confine_tighten(&confine_runner_serving, &err) != 0)
		return say("%s\n", err.message);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	say("before %d, then %d here and %d there\n", here, make_memory_file(), there);
}

static void mode_exhaust_memory(int column)
{
	(void)column;
	size_t got = 0;
	while (got < LIMIT_COMPILE_MEMORY + 1 * GIB && map_data() == 0) {
		void *p = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			       0);
		if (p == MAP_FAILED)
			break;
		got += 64 * MIB;
	}
	say("%s with errno %d\n", got > LIMIT_COMPILE_MEMORY / 2 && got <= LIMIT_COMPILE_MEMORY ? "refused" : "odd",
	    errno);
}

#if defined(__x86_64__)
/* The same kernel by the old door: another table of numbers, which the filter does not judge but end. */
static void mode_old_door(int column)
{
	(void)column;
	long result = 20; /* getpid there */
	__asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
	say("survived with %ld\n", result);
}

static void mode_x32_door(int column)
{
	(void)column;
	say("survived with %ld\n", syscall(0x40000000 + SYS_getpid));
}
#endif

/* What egress is for: a name, a file of certificates, a connection. The test sends the port to connect to. */
static void mode_reach_out(int column)
{
	(void)column;
	uint16_t port;
	if (read(OUT, &port, sizeof port) != sizeof port)
		return;
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *found = NULL;
	int resolved = getaddrinfo("localhost", NULL, &hints, &found);
	if (resolved != 0)
		return say("localhost is not known: %s\n", gai_strerror(resolved));
	struct sockaddr_in address = {0};
	memcpy(&address, found->ai_addr, MIN(sizeof address, found->ai_addrlen));
	address.sin_port = port;
	freeaddrinfo(found);
	AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	int connected = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
	int certificates = try_open("/etc/ssl/certs/ca-certificates.crt", O_RDONLY | O_CLOEXEC);
	say("connected %d, certificates %d\n", connected, certificates == ENOENT ? 0 : certificates);
}

static void mode_wait(int column)
{
	(void)column;
	char byte;
	(void)!read(OUT, &byte, 1);
}

static const struct {
	const char *name;
	void (*run)(int column);
} modes[] = {
	{"report", mode_report},
	{"battery", mode_battery},
	{"sweep", mode_sweep},
	{"tighten", mode_tighten},
	{"exhaust_memory", mode_exhaust_memory},
#if defined(__x86_64__)
	{"old_door", mode_old_door},
	{"x32_door", mode_x32_door},
#endif
	{"reach_out", mode_reach_out},
	{"wait", mode_wait},
};

static int number_of(const char *text)
{
	uint64_t number = 0;
	return str_to_u64(str_from(text), UINT32_MAX, &number) ? (int)number : -1;
}

static int be_confined(char **argv)
{
	int column = number_of(argv[2]);
	parent_pid = number_of(argv[3]);
	struct confine_options options = {
		.parent_pid = parent_pid, .keep_fds = OUT + 1, .namespaces = (uint64_t)number_of(argv[4])};
	struct confine_report report;
	struct err err = {0};
	const struct confine_policy *policy = policies[column == SERVING ? SERVE : column];
	if (confine_apply(policy, &options, &report, &err) != 0 ||
	    (column == SERVING && confine_tighten(policies[SERVING], &err) != 0)) {
		say("%s\n", err.message);
		return 1;
	}
	AUTO_BUF frame = BUF_INIT(4096);
	confine_report_put(&frame, &report);
	uint32_t n = (uint32_t)frame.n;
	if (write(OUT, &n, sizeof n) != sizeof n || write(OUT, frame.p, frame.n) != (ssize_t)frame.n)
		return 1;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		if (strcmp(argv[1], modes[i].name) == 0)
			modes[i].run(column);
	}
	return 0;
}

/* Starts a process that confines itself and waits, and ends itself at once or while that happens. */
static int leave_behind(char **argv)
{
	const char *words[] = {argv[0], "wait", argv[2], "0", argv[4], NULL};
	struct child child = CHILD_INIT;
	child.path = "/proc/self/exe";
	child.argv = words;
	child.namespaces = (uint64_t)number_of(argv[4]);
	child.fds[child.n_fds++] = (struct child_fd){OUT, OUT};
	_exit(child_start(&child, NULL) != 0);
}

/* ---- outside */

struct run {
	struct child child;
	struct confine_report report;
	char text[16384];
};

static uint16_t told_port;    /* what run_inside() tells the child, in network order; 0 = nothing */
static bool machine_confines; /* namespaces, Landlock with every right that a column of the tests relies on */

static void read_all(int fd, char *text, size_t room)
{
	size_t n = 0;
	for (ssize_t got; (got = read(fd, text + n, room - 1 - n)) > 0;)
		n += (size_t)got;
	text[n] = '\0';
}

static void run_inside(struct run *run, const char *mode, int column, uint64_t namespaces)
{
	int sockets[2];
	assert_int_equal(child_socketpair(sockets, NULL), 0);
	char numbers[3][24];
	snprintf(numbers[0], sizeof numbers[0], "%d", column);
	snprintf(numbers[1], sizeof numbers[1], "%d", (int)getpid());
	snprintf(numbers[2], sizeof numbers[2], "%llu", (unsigned long long)namespaces);
	const char *words[] = {"test_confine", mode, numbers[0], numbers[1], numbers[2], NULL};
	run->child = CHILD_INIT;
	run->child.path = "/proc/self/exe";
	run->child.argv = words;
	run->child.namespaces = namespaces;
	run->child.fds[run->child.n_fds++] = (struct child_fd){sockets[1], OUT};
	run->child.fds[run->child.n_fds++] = (struct child_fd){STDERR_FILENO, STDERR_FILENO};
	run->child.fds[run->child.n_fds++] = (struct child_fd){sockets[1], OUT + 1}; /* to be closed inside */
	assert_int_equal(child_start(&run->child, NULL), 0);
	close(sockets[1]);
	if (told_port != 0)
		assert_int_equal(write(sockets[0], &told_port, sizeof told_port), sizeof told_port);

	uint32_t n = 0;
	char frame[4096];
	if (recv(sockets[0], &n, sizeof n, MSG_WAITALL) == sizeof n && n <= sizeof frame &&
	    recv(sockets[0], frame, n, MSG_WAITALL) == (ssize_t)n) {
		struct err err = {0};
		if (confine_report_get((struct str){frame, n}, &run->report, &err) != 0)
			fail_msg("%s", err.message);
	}
	read_all(sockets[0], run->text, sizeof run->text);
	close(sockets[0]);
	assert_int_equal(child_wait(&run->child, -1, NULL), 1);
	child_release(&run->child);
}

static void assert_attempts(const struct confine_attempt *got, const int expected[CONFINE_ACT__MAX], const char *when)
{
	for (int act = 0; act < CONFINE_ACT__MAX; act++) {
		int error = got[act].tried ? got[act].error : -1;
		if (error != expected[act])
			fail_msg("%s, %s: errno %d, not %d", when, confine_act_name((enum confine_act)act), error,
				 expected[act]);
	}
}

enum { UNTRIED = -1 };

static void every_probe_fails_as_it_should(void **state)
{
	(void)state;
	static const int all_refused[] = {EPERM, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM};
	static const int egress_refused[] = {EACCES, EPERM, UNTRIED, EPERM, EPERM, EPERM, EPERM, EPERM};
	static const struct {
		int column;
		bool namespaces;
		const int *after;
		int before[CONFINE_ACT__MAX];
	} cases[] = {
		/* An empty root has nothing to open or execute; the parent has no number in there. */
		{COMPILE, true, all_refused, {ENOENT, ENOENT, EACCES, EACCES, ENOENT, ESRCH, ESRCH, 0}},
		{SERVE, true, all_refused, {ENOENT, ENOENT, EACCES, EACCES, ENOENT, ESRCH, ESRCH, 0}},
		{EGRESS, true, egress_refused, {EACCES, EACCES, UNTRIED, EACCES, EACCES, ESRCH, ESRCH, 0}},
		/* Landlock alone. */
		{COMPILE, false, all_refused, {EACCES, EACCES, EACCES, EACCES, EACCES, EPERM, EPERM, 0}},
		{SERVE, false, all_refused, {EACCES, EACCES, EACCES, EACCES, EACCES, EPERM, EPERM, 0}},
		{EGRESS, false, egress_refused, {EACCES, EACCES, UNTRIED, EACCES, EACCES, EPERM, EPERM, 0}},
	};
	if (!machine_confines)
		skip();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t namespaces = cases[i].namespaces ? policies[cases[i].column]->namespaces : 0;
		struct run run = {0};
		run_inside(&run, "report", cases[i].column, namespaces);
		assert_string_equal(run.text, "");
		assert_true(run.report.seccomp && run.report.no_new_privs);
		assert_int_equal(run.report.namespaces, namespaces);
		assert_int_equal(run.report.empty_root, (namespaces & CLONE_NEWNS) != 0);
		assert_string_equal(run.report.missing, cases[i].namespaces ? "" : "namespaces");
		assert_attempts(run.report.before_seccomp, cases[i].before, "before seccomp");
		assert_attempts(run.report.after, cases[i].after, "after");

		struct err err = {0};
		int verdict = confine_judge(&run.report, "x", STR_EMPTY, &err);
		assert_int_equal(verdict, cases[i].namespaces ? 0 : -1);
		assert_int_equal(confine_judge(&run.report, "x", S("namespaces"), NULL), 0);
	}
}

static void nothing_escapes(void **state)
{
	(void)state;
	if (!machine_confines)
		skip();
	AUTO_FD listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = abstract_address(getpid());
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener, 1), 0);
	for (int column = 0; column < COLUMNS; column++) {
		static struct run run;
		run_inside(&run, "battery", column, policies[column == SERVING ? SERVE : column]->namespaces);
		struct str rest = str_from(run.text);
		for (size_t i = 0; i < ARRAY_LEN(battery); i++) {
			char expected[128];
			struct str line;
			snprintf(expected, sizeof expected, "%s %d", battery[i].name, battery[i].errors[column]);
			rest = str_cut(rest, '\n', &line);
			if (!str_eq(line, str_from(expected)))
				fail_msg("policy %s: '%.*s', not '%s'", policies[column]->name, STR_FMT(line),
					 expected);
		}
		assert_int_equal(rest.n, 0);
		assert_int_equal(run.child.exit_status, 0);
	}
}

static void whatever_is_not_listed_is_refused(void **state)
{
	(void)state;
	for (int column = 0; column < COLUMNS; column++) {
		static struct run run;
		run_inside(&run, "sweep", column, policies[column == SERVING ? SERVE : column]->namespaces);
		assert_string_equal(run.text, "tried all, 0 let through\n");
	}
}

static void egress_can_do_its_work(void **state)
{
	(void)state;
	AUTO_FD listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof address;
	assert_int_equal(bind(listener, (struct sockaddr *)&address, n), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &n), 0);
	told_port = address.sin_port;
	static struct run run;
	run_inside(&run, "reach_out", EGRESS, confine_egress.namespaces);
	told_port = 0;
	assert_string_equal(run.text, "connected 0, certificates 0\n");
}

static void the_second_table_binds_all_threads(void **state)
{
	(void)state;
	static struct run run;
	run_inside(&run, "tighten", SERVE, confine_runner_serve.namespaces);
	char expected[64];
	snprintf(expected, sizeof expected, "before 0, then %d here and %d there\n", EPERM, EPERM);
	assert_string_equal(run.text, expected);
}

static void compiling_runs_out_of_memory_with_an_error(void **state)
{
	(void)state;
	if (CONFINE_SANITIZED)
		skip();
	static struct run run;
	run_inside(&run, "exhaust_memory", COMPILE, confine_runner_compile.namespaces);
	char expected[64];
	snprintf(expected, sizeof expected, "refused with errno %d\n", ENOMEM);
	assert_string_equal(run.text, expected);
}

static void the_doors_of_other_machine_words_end_the_process(void **state)
{
	(void)state;
#if defined(__x86_64__)
	static const char *const doors[] = {"old_door", "x32_door"};
	for (size_t i = 0; i < ARRAY_LEN(doors); i++) {
		static struct run run;
		run_inside(&run, doors[i], SERVE, confine_runner_serve.namespaces);
		assert_string_equal(run.text, "");
		/* A kernel without the old door ends it all the same. */
		assert_true(run.child.term_signal == SIGSYS || run.child.term_signal == SIGSEGV);
	}
#else
	skip();
#endif
}

/* Nobody holds the other end of the socket once the orphan has gone too. */
static void a_confined_process_dies_with_its_parent(void **state)
{
	(void)state;
	int sockets[2];
	assert_int_equal(child_socketpair(sockets, NULL), 0);
	char namespaces[24];
	snprintf(namespaces, sizeof namespaces, "%llu", (unsigned long long)confine_runner_serve.namespaces);
	const char *words[] = {"test_confine", "leave_behind", "1", "0", namespaces, NULL};
	AUTO_CHILD child = CHILD_INIT;
	child.path = "/proc/self/exe";
	child.argv = words;
	child.fds[child.n_fds++] = (struct child_fd){sockets[1], OUT};
	assert_int_equal(child_start(&child, NULL), 0);
	close(sockets[1]);
	static char text[4096];
	read_all(sockets[0], text, sizeof text);
	close(sockets[0]);
}

/* ---- the root, the capabilities and the rest, seen with a policy that allows looking */

static const struct confine_syscall looking[] = {
	{SCMP_SYS(newfstatat), {{0, 0, 0}}},
	{SCMP_SYS(mkdirat), {{0, 0, 0}}},
	{SCMP_SYS(mkdir), {{0, 0, 0}}},
	{SCMP_SYS(capget), {{0, 0, 0}}},
	{SCMP_SYS(write), {{0, 0, 0}}},
	{SCMP_SYS(prctl), {{0, 0, 0}}},
	{SCMP_SYS(exit_group), {{0, 0, 0}}},
	{SCMP_SYS(prlimit64), {{0, 0, 0}}},
	{SCMP_SYS(getpid), {{0, 0, 0}}},
	{SCMP_SYS(munmap), {{0, 0, 0}}},
	{SCMP_SYS(mmap), {{0, 0, 0}}},
	{SCMP_SYS(futex), {{0, 0, 0}}},
	{-1, {{0, 0, 0}}},
};
static const struct confine_syscall *const looking_calls[] = {looking, NULL};
static const struct confine_rlimit looking_rlimits[] = {{RLIMIT_CORE, 0}, {RLIMIT_NOFILE, 64}, {-1, 0}};

static int look_around(char **argv)
{
	const struct confine_policy policy = {
		.name = "looking", .namespaces = CLONE_NEWNS, .syscalls = looking_calls, .rlimits = looking_rlimits};
	struct confine_options options = {.keep_fds = OUT + 1, .namespaces = (uint64_t)number_of(argv[4])};
	struct confine_report report;
	if (confine_apply(&policy, &options, &report, NULL) != 0)
		return 1;
	struct stat info;
	say("passwd %d\n", TRY(SYS_newfstatat, AT_FDCWD, "/etc/passwd", &info, 0));
	say("proc %d\n", TRY(SYS_newfstatat, AT_FDCWD, "/proc", &info, 0));
	say("above %d\n", TRY(SYS_newfstatat, AT_FDCWD, "/../../etc", &info, 0));
	say("make %d\n", TRY(SYS_mkdirat, AT_FDCWD, "/made", 0700));
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2] = {{1, 1, 1}};
	say("capget %d\n", TRY(SYS_capget, &header, caps));
	say("caps %x %x %x\n", caps[0].effective | caps[1].effective, caps[0].permitted | caps[1].permitted,
	    caps[0].inheritable | caps[1].inheritable);
	say("dumpable %d\n", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	int death = 0;
	prctl(PR_GET_PDEATHSIG, &death, 0, 0, 0);
	say("death %d\n", death);
	struct rlimit core, files;
	getrlimit(RLIMIT_CORE, &core);
	getrlimit(RLIMIT_NOFILE, &files);
	say("core %d files %d\n", (int)core.rlim_max, (int)files.rlim_max);
	return 0;
}

static void the_root_is_empty_and_the_rights_are_gone(void **state)
{
	(void)state;
	if (!machine_confines)
		skip();
	int sockets[2];
	assert_int_equal(child_socketpair(sockets, NULL), 0);
	char namespaces[24];
	snprintf(namespaces, sizeof namespaces, "%u", CLONE_NEWUSER | CLONE_NEWNS);
	const char *words[] = {"test_confine", "look_around", "0", "0", namespaces, NULL};
	AUTO_CHILD child = CHILD_INIT;
	child.path = "/proc/self/exe";
	child.argv = words;
	child.namespaces = CLONE_NEWUSER | CLONE_NEWNS;
	child.fds[child.n_fds++] = (struct child_fd){sockets[1], OUT};
	assert_int_equal(child_start(&child, NULL), 0);
	close(sockets[1]);
	char text[4096], expected[512];
	read_all(sockets[0], text, sizeof text);
	close(sockets[0]);
	snprintf(expected, sizeof expected,
		 "passwd %d\nproc %d\nabove %d\nmake %d\ncapget 0\ncaps 0 0 0\ndumpable 0\ndeath %d\ncore 0 files 64\n",
		 ENOENT, ENOENT, ENOENT, EROFS, SIGKILL);
	assert_string_equal(text, expected);
}

/* ---- the verdict and the report, without a process */

static struct confine_report good_report(void)
{
	struct confine_report report = {
		.namespaces = confine_runner_serve.namespaces,
		.empty_root = true,
		.landlock_abi = 7,
		.seccomp = true,
		.no_new_privs = true,
	};
	for (int act = 0; act < CONFINE_ACT__MAX; act++) {
		report.before_seccomp[act] = (struct confine_attempt){true, act == CONFINE_FORK ? 0 : EACCES};
		report.after[act] = (struct confine_attempt){true, EPERM};
	}
	return report;
}

static void assert_verdict(const struct confine_report *report, const char *allowed, const char *message)
{
	struct err err = {0};
	int verdict = confine_judge(report, "aileron-runner", str_from(allowed), &err);
	if (message == NULL) {
		if (verdict != 0)
			fail_msg("%s", err.message);
		return;
	}
	assert_int_equal(verdict, -1);
	assert_int_equal(err.class, ERR_UNCONFINED);
	assert_string_equal(err.message, message);
}

static void what_got_through_is_never_excused(void **state)
{
	(void)state;
	struct confine_report report = good_report();
	assert_verdict(&report, "", NULL);
	report.after[CONFINE_OPEN_FILE].error = 0;
	report.after[CONFINE_FORK].error = 0;
	assert_verdict(&report, "namespaces,root,landlock,capabilities,seccomp",
		       "'aileron-runner' is not confined: it could open a file, start a process");
	report = good_report();
	report.before_seccomp[CONFINE_SIGNAL].error = 0; /* Landlock and the pid namespace are there and did nothing */
	assert_verdict(&report, "seccomp", "'aileron-runner' is not confined: it could signal its parent");
	report = good_report();
	report.after[CONFINE_EXEC].tried = false;
	assert_verdict(&report, "",
		       "'aileron-runner' did not prove its confinement: it did not try to execute a program");
	report = good_report();
	report.after[CONFINE_CONNECT].tried = report.before_seccomp[CONFINE_CONNECT].tried = false;
	assert_verdict(&report, "", NULL);
	report.no_new_privs = false;
	assert_verdict(&report, "seccomp", "'aileron-runner' is not confined: it may gain privileges");
}

static void what_is_missing_is_excused_by_name(void **state)
{
	(void)state;
	struct confine_report report = good_report();
	report.namespaces = 0;
	report.empty_root = false;
	snprintf(report.missing, sizeof report.missing, "namespaces");
	const char *refusal = "'aileron-runner' cannot be confined on this machine: namespaces missing; "
			      "--allow-unconfined=namespaces goes on without";
	assert_verdict(&report, "", refusal);
	assert_verdict(&report, "landlock", refusal);
	assert_verdict(&report, "namespace", refusal);
	assert_verdict(&report, "landlock, namespaces", NULL);

	report.landlock_abi = 0;
	snprintf(report.missing, sizeof report.missing, "namespaces,landlock");
	for (int act = 0; act < CONFINE_ACT__MAX; act++)
		report.before_seccomp[act].error = 0; /* no wall was promised but seccomp, which holds */
	assert_verdict(&report, "namespaces,landlock", NULL);
	assert_verdict(&report, "landlock",
		       "'aileron-runner' cannot be confined on this machine: namespaces missing; "
		       "--allow-unconfined=namespaces goes on without");

	report.seccomp = false;
	snprintf(report.missing, sizeof report.missing, "namespaces,landlock,seccomp");
	for (int act = 0; act < CONFINE_ACT__MAX; act++)
		report.after[act].error = 0;
	assert_verdict(&report, "namespaces,landlock,seccomp", NULL);
	assert_verdict(&report, "",
		       "'aileron-runner' cannot be confined on this machine: namespaces,landlock,seccomp missing; "
		       "--allow-unconfined=namespaces,landlock,seccomp goes on without");
}

static void older_landlocks_promise_less(void **state)
{
	(void)state;
	struct confine_report report = good_report();
	report.namespaces = 0;
	report.empty_root = false;
	snprintf(report.missing, sizeof report.missing, "namespaces");
	report.landlock_abi = 3; /* no network, no signals yet */
	report.before_seccomp[CONFINE_CONNECT].error = 0;
	report.before_seccomp[CONFINE_LISTEN].error = 0;
	report.before_seccomp[CONFINE_SIGNAL].error = 0;
	assert_verdict(&report, "namespaces", NULL);
	report.before_seccomp[CONFINE_WRITE_FILE].error = 0;
	assert_verdict(&report, "namespaces", "'aileron-runner' is not confined: it could write a file");
}

static void boundaries_have_names(void **state)
{
	(void)state;
	assert_true(confine_is_boundary(S("seccomp")));
	assert_true(confine_is_boundary(S("namespaces")));
	assert_false(confine_is_boundary(S("")));
	assert_false(confine_is_boundary(S("seccomp,landlock")));
	assert_false(confine_is_boundary(S("everything")));
}

static void a_report_travels(void **state)
{
	(void)state;
	struct confine_report report = good_report(), got;
	snprintf(report.missing, sizeof report.missing, "root,seccomp");
	AUTO_BUF frame = BUF_INIT(4096);
	confine_report_put(&frame, &report);
	assert_true(buf_ok(&frame));
	assert_int_equal(confine_report_get(buf_str(&frame), &got, NULL), 0);
	AUTO_BUF again = BUF_INIT(4096);
	confine_report_put(&again, &got);
	assert_true(str_eq(buf_str(&frame), buf_str(&again)));

	for (size_t n = 0; n < frame.n; n++) {
		struct err err = {0};
		struct confine_report untouched = {.landlock_abi = 99};
		assert_int_equal(confine_report_get((struct str){frame.p, n}, &untouched, &err), -1);
		assert_int_equal(err.class, ERR_PROTOCOL);
		assert_int_equal(untouched.landlock_abi, 99);
	}
	snprintf(report.missing, sizeof report.missing, "seccomp; all is well");
	buf_clear(&frame);
	confine_report_put(&frame, &report);
	assert_int_equal(confine_report_get(buf_str(&frame), &got, NULL), -1);
}

static void a_report_can_be_read_by_a_person(void **state)
{
	(void)state;
	struct confine_report report = good_report();
	report.after[CONFINE_CONNECT].tried = false;
	report.after[CONFINE_LISTEN].error = 12345;
	AUTO_BUF text = BUF_INIT(4096);
	confine_report_text(&text, &report);
	assert_non_null(strstr(text.p, "open a file: EPERM (EACCES before seccomp)\n"));
	assert_non_null(strstr(text.p, "connect: not tried\n"));
	assert_non_null(strstr(text.p, "listen: error 12345 (EACCES before seccomp)\n"));
	assert_non_null(strstr(text.p, "start a process: EPERM (let through before seccomp)\n"));
	assert_non_null(strstr(text.p, "landlock: ABI 7\nmissing: nothing\n"));
}

static int learn_about_machine(void **state)
{
	(void)state;
	struct run run = {0};
	run_inside(&run, "report", SERVE, confine_runner_serve.namespaces);
	machine_confines = run.report.missing[0] == '\0' && run.report.landlock_abi >= 6;
	if (!machine_confines)
		print_message("this machine lacks: '%s' (Landlock ABI %d); tests that need them are skipped\n",
			      run.report.missing, run.report.landlock_abi);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "leave_behind") == 0)
		return leave_behind(argv);
	if (argc == 5 && strcmp(argv[1], "look_around") == 0)
		return look_around(argv);
	if (argc == 5)
		return be_confined(argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_probe_fails_as_it_should),
		cmocka_unit_test(nothing_escapes),
		cmocka_unit_test(whatever_is_not_listed_is_refused),
		cmocka_unit_test(egress_can_do_its_work),
		cmocka_unit_test(the_second_table_binds_all_threads),
		cmocka_unit_test(compiling_runs_out_of_memory_with_an_error),
		cmocka_unit_test(the_doors_of_other_machine_words_end_the_process),
		cmocka_unit_test(a_confined_process_dies_with_its_parent),
		cmocka_unit_test(the_root_is_empty_and_the_rights_are_gone),
		cmocka_unit_test(what_got_through_is_never_excused),
		cmocka_unit_test(what_is_missing_is_excused_by_name),
		cmocka_unit_test(older_landlocks_promise_less),
		cmocka_unit_test(boundaries_have_names),
		cmocka_unit_test(a_report_travels),
		cmocka_unit_test(a_report_can_be_read_by_a_person),
	};
	return cmocka_run_group_tests(tests, learn_about_machine, NULL);
}
