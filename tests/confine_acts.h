/*
 * confine_acts: what a confined process tries, and the errno it must get under each policy; for test_confine.c alone
 */
#pragma once
#include "confine/sanitized.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
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

#define OUT    3 /* the child's socket to the test */
#define OWN    4 /* its own folder; closed where it has none */
#define CLOSED 5 /* given, and to be closed */

/* Each act answers with an errno, 0 when it was let through. */

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
static int open_above_folder(void)
{
	return TRY(SYS_openat, OWN, "../../../../../../../../../etc/passwd", O_RDONLY, 0);
}
static int write_above_folder(void)
{
	return TRY(SYS_openat, OWN, "../test_confine_made", O_WRONLY | O_CREAT | O_EXCL, 0600);
}
static int make_file(void)
{
	return try_open("made", O_RDWR | O_CREAT | O_EXCL);
}
static int name_file_twice(void)
{
	return TRY(SYS_linkat, AT_FDCWD, "made", AT_FDCWD, "twice", 0);
}
static int rename_own_file(void)
{
	return TRY(SYS_renameat, AT_FDCWD, "twice", AT_FDCWD, "other");
}
static int lock_file(void)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "other", O_RDWR, 0);
	struct flock whole = {.l_type = F_WRLCK};
	int error = TRY(SYS_fcntl, fd, F_SETLK, &whole);
	return error != 0 ? error : TRY(SYS_fsync, fd);
}
static int map_file(void)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "other", O_RDWR, 0);
	int error = TRY(SYS_ftruncate, fd, 4096L);
	return error != 0 ? error : TRY(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}
static int execute_own_file(void)
{
	return TRY(SYS_execve, "other", NULL, NULL);
}
static int list_folder(void)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, ".", O_RDONLY | O_DIRECTORY, 0);
	static char entries[1024];
	return TRY(SYS_getdents64, fd, entries, sizeof entries);
}
static int make_folder_in_own(void)
{
	return TRY(SYS_mkdirat, AT_FDCWD, "folder", 0700);
}
static int remove_own_files(void)
{
	syscall(SYS_unlinkat, AT_FDCWD, "test_confine_made", 0); /* where that could be made at all */
	int error = TRY(SYS_unlinkat, AT_FDCWD, "made", 0);
	return error != 0 ? error : TRY(SYS_unlinkat, AT_FDCWD, "other", 0);
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

static const struct sockaddr_in nobody = {.sin_family = AF_INET, .sin_port = 1};

/* OUT is a connected stream. Nothing of it is sent: the kernel sees the flag, the address, or no bytes. */
static int send_nothing(void)
{
	return TRY(SYS_sendto, OUT, "", 0, MSG_NOSIGNAL, NULL, 0);
}
static int send_to_address(void)
{
	return TRY(SYS_sendto, OUT, "", 0, MSG_NOSIGNAL, &nobody, sizeof nobody);
}
static int send_fast_open(void)
{
	return TRY(SYS_sendto, OUT, "", 0, MSG_FASTOPEN | MSG_NOSIGNAL, &nobody, sizeof nobody);
}
static int send_fast_open_to_none(void)
{
	return TRY(SYS_sendto, OUT, "", 0, MSG_FASTOPEN | MSG_NOSIGNAL, NULL, 0);
}
static int send_message(void)
{
	struct msghdr message = {0};
	return TRY(SYS_sendmsg, OUT, &message, MSG_NOSIGNAL);
}
static int send_message_fast_open(void)
{
	struct msghdr message = {.msg_name = (void *)(uintptr_t)&nobody, .msg_namelen = sizeof nobody};
	return TRY(SYS_sendmsg, OUT, &message, MSG_FASTOPEN | MSG_NOSIGNAL);
}
static int send_messages(void)
{
	struct mmsghdr message = {0};
	return TRY(SYS_sendmmsg, OUT, &message, 1, MSG_NOSIGNAL);
}
static int send_messages_fast_open(void)
{
	struct mmsghdr message = {.msg_hdr.msg_name = (void *)(uintptr_t)&nobody, .msg_hdr.msg_namelen = sizeof nobody};
	return TRY(SYS_sendmmsg, OUT, &message, 1, MSG_FASTOPEN | MSG_NOSIGNAL);
}
static int set_no_delay(void)
{
	return TRY(SYS_setsockopt, OUT, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)); /* no TCP socket */
}
static int set_fast_open(void)
{
	return TRY(SYS_setsockopt, OUT, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &(int){1}, sizeof(int));
}
static int set_buffer(void)
{
	return TRY(SYS_setsockopt, OUT, SOL_SOCKET, SO_SNDBUF, &(int){65536}, sizeof(int));
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
	return TRY(SYS_fcntl, CLOSED, F_GETFD);
}
static int ask_time_and_chance(void)
{
	struct timespec now;
	char bytes[8];
	int error = TRY(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &now);
	return error != 0 ? error : TRY(SYS_getrandom, bytes, sizeof bytes, 0);
}

#define SAN(otherwise, sanitized) (CONFINE_SANITIZED ? (sanitized) : (otherwise))

/* Columns: `compile`, `serve` until the code is loaded, `serve` then, egress, control, the keeper. */
enum { COMPILE, SERVE, SERVING, EGRESS, CONTROL, KEEPER, COLUMNS };
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
	ROW(use_closed_descriptor, EBADF, EBADF, EBADF, EBADF, EBADF,
	    EBADF), /* first, before its number is used again */
	ROW(open_passwd, EPERM, EPERM, EPERM, EACCES, ENOENT, ENOENT),
	ROW(open_root, EPERM, EPERM, EPERM, EACCES, 0, 0),
	ROW(open_path_only, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(open_for_writing, EPERM, EPERM, EPERM, EPERM, ENOENT, ENOENT),
	ROW(open_unnamed, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(open_append, EPERM, EPERM, EPERM, EPERM, ENOENT, ENOENT),
	ROW(open_own_memory, EPERM, EPERM, EPERM, EACCES, ENOENT, ENOENT),
	ROW(open_parents_environment, EPERM, EPERM, EPERM, EACCES, ENOENT, ENOENT),
	ROW(open_proc_root, EPERM, EPERM, EPERM, EACCES, ENOENT, ENOENT),
	ROW(open_device, EPERM, EPERM, EPERM, EACCES, ENOENT, ENOENT),
	ROW(open_hosts, EPERM, EPERM, EPERM, 0, 0, 0),
	ROW(open_above_folder, EPERM, EPERM, EPERM, EBADF, ENOENT, ENOENT),
	ROW(write_above_folder, EPERM, EPERM, EPERM, EPERM, 0, 0), /* the root's parent is the root */
	ROW(make_file, EPERM, EPERM, EPERM, EPERM, 0, 0),
	ROW(name_file_twice, EPERM, EPERM, EPERM, EPERM, 0, 0),
	ROW(rename_own_file, EPERM, EPERM, EPERM, EPERM, 0, 0),
	ROW(lock_file, EPERM, EPERM, EPERM, EPERM, 0, 0),
	ROW(map_file, EBADF, EBADF, EPERM, EPERM, 0, 0),
	ROW(execute_own_file, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(list_folder, EPERM, EPERM, EPERM, EPERM, 0, 0),
	ROW(make_folder_in_own, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(remove_own_files, EPERM, EPERM, EPERM, EPERM, 0, 0),
	ROW(open2, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(look_at_file, EPERM, EPERM, EPERM, 0, 0, 0),
	ROW(read_link, EPERM, EPERM, EPERM, EPERM, ENOENT, ENOENT),
	ROW(change_folder, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(make_folder, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(make_link, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(remove_file, EPERM, EPERM, EPERM, EPERM, ENOENT, ENOENT),
	ROW(rename_file, EPERM, EPERM, EPERM, EPERM, ENOENT, ENOENT),
	ROW(change_mode, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(change_owner_of_descriptor, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(cut_file, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(socket_tcp, EPERM, EPERM, EPERM, 0, EPERM, EPERM),
	ROW(socket_tcp6, EPERM, EPERM, EPERM, 0, EPERM, EPERM),
	ROW(socket_udp, EPERM, EPERM, EPERM, 0, EPERM, EPERM),
	ROW(socket_raw, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(socket_ping, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(socket_mptcp, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(socket_unix, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(socket_unix_datagram, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(socket_netlink, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(socket_packet, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(socket_vsock, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(socket_alg, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(pair_of_streams, EPERM, EPERM, EPERM, 0, 0, EPERM),
	ROW(pair_of_datagrams, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(connect_to_abstract_address, EPERM, EPERM, EPERM, EISCONN, EPERM, EPERM),
	ROW(bind_own_socket, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(bind_tcp, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(listen_unbound, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(accept_connection, EPERM, EPERM, EPERM, EPERM, EINVAL, EPERM),
	ROW(send_nothing, 0, 0, 0, 0, 0, 0),
	ROW(send_to_address, EPERM, EPERM, EPERM, EISCONN, EPERM, EPERM),
	ROW(send_fast_open, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(send_fast_open_to_none, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(send_message, 0, 0, 0, 0, 0, 0),
	ROW(send_message_fast_open, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(send_messages, EPERM, EPERM, EPERM, 0, EPERM, EPERM),
	ROW(send_messages_fast_open, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(set_no_delay, EPERM, EPERM, EPERM, EOPNOTSUPP, EOPNOTSUPP, EPERM),
	ROW(set_fast_open, EPERM, EPERM, EPERM, EOPNOTSUPP, EPERM, EPERM),
	ROW(set_buffer, EPERM, EPERM, EPERM, 0, EPERM, EPERM),
	ROW(execute, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(execute_descriptor, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(make_memory_file, EPERM, 0, EPERM, EPERM, 0, EPERM),
	ROW(fork_by_clone, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(fork_sharing_memory, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(fork_by_clone3, ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS),
	ROW(start_thread, 0, 0, 0, 0, 0, 0),
	ROW(signal_parent, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(signal_itself, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(signal_thread_of_parent, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(signal_own_thread, 0, 0, 0, 0, 0, 0),
	ROW(open_process, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(trace_parent, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(be_traced, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(read_memory_of_parent, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(write_memory_of_parent, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(set_up_io_uring, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(load_bpf, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(open_userfaultfd, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(open_perf, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(use_keyring, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(mount_something, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(change_root, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(unshare_user, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(enter_namespace, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(become_dumpable, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(outlive_parent, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(name_thread, 0, 0, 0, 0, 0, 0),
	ROW(be_another_user, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(execute_what_is_read, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(raise_limit, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(look_at_limit, 0, 0, 0, 0, 0, 0),
	ROW(push_terminal_input, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(own_descriptor_signals, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(share_memory, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(map_data, 0, 0, 0, 0, 0, 0),
	ROW(map_code, SAN(EPERM, 0), 0, SAN(EPERM, 0), 0, SAN(EPERM, 0), SAN(EPERM, 0)),
	ROW(map_writable_code, SAN(EPERM, 0), 0, SAN(EPERM, 0), SAN(EPERM, 0), SAN(EPERM, 0), SAN(EPERM, 0)),
	ROW(make_data_code, SAN(EPERM, 0), 0, SAN(EPERM, 0), SAN(EPERM, 0), SAN(EPERM, 0), SAN(EPERM, 0)),
	ROW(make_data_code_with_key, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM),
	ROW(filter_more, EPERM, 0, EPERM, EPERM, EPERM, EPERM),
	ROW(ask_time_and_chance, 0, 0, 0, 0, 0, 0),
#undef ROW
};
