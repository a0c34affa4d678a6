#include "daemon/parent.h"
#include "base/hex.h"
#include "base/rand.h"
#include "base/time.h"
#include "base/version.h"
#include "daemon/daemon.h"
#include "daemon/discovery.h"
#include "daemon/ready.h"
#include "daemon/spawn.h"
#include "os/file.h"
#include "text/wire.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define START_MS        60000 /* for all children together; a database may need to be mended */
#define CONTROL_LATE_MS 1000  /* beyond what control was given */
#define OTHERS_STOP_MS  2000  /* keeper and egress have nothing to finish once control is gone */
#define LOCK_WAIT_MS    250   /* a predecessor that is just ending */
#define LOCK_POLL_MS    25
#define LOCK_WATCH_MS   5000
#define SECRET_BYTES    32

/* ---- the end */

static void send_stop(struct process *process, uint64_t ms)
{
	if (!process_is_ready(process))
		return process_kill(process);
	AUTO_BUF body = BUF_INIT(8);
	wire_put_u64(&body, ms);
	process_send(process, SUPERVISE_STOP, 0, buf_str(&body), NULL, 0);
}

/* Control first, as long as it has work; then those that it works with; then nobody is left to wait for. */
void daemon_proceed_stopping(struct daemon *d)
{
	if (d->children[CHILD_CONTROL].state != PROCESS_DOWN)
		return;
	if (children_are_down(d))
		return loop_stop(d->loop);
	if (d->others_told)
		return;
	d->others_told = true;
	loop_timer_start(d->patience, OTHERS_STOP_MS, 0);
	for (int i = 0; i < CHILDREN; i++)
		send_stop(&d->children[i], OTHERS_STOP_MS);
}

static void begin_stopping(struct daemon *d)
{
	d->phase = DAEMON_STOPPING;
	for (int i = 0; i < CHILDREN; i++)
		process_cancel_restart(&d->children[i]);
}

static void stop(struct daemon *d)
{
	begin_stopping(d);
	loop_timer_start(d->patience, DAEMON_DRAIN_MS + CONTROL_LATE_MS, 0);
	send_stop(&d->children[CHILD_CONTROL], DAEMON_DRAIN_MS);
	daemon_proceed_stopping(d);
}

void daemon_fail(struct daemon *d, const struct err *why)
{
	if (d->failure.class == ERR_NONE)
		d->failure = *why;
	begin_stopping(d);
	children_kill(d);
}

static void on_patience(void *user, int what)
{
	(void)what;
	struct daemon *d = user;
	if (d->phase == DAEMON_STARTING) {
		static struct err err;
		fail(&err, ERR_UNAVAILABLE, "the daemon's processes were not ready within %d s", START_MS / 1000);
		daemon_fail(d, &err);
	} else if (d->others_told) {
		children_kill(d);
	} else {
		log_warn("control_killed", log_z("reason", "it did not finish in time"));
		process_kill(&d->children[CHILD_CONTROL]);
	}
	daemon_proceed_stopping(d);
}

/* A state folder that was removed or replaced may hold the files of a successor. */
static void on_lock_watch(void *user, int what)
{
	(void)what;
	struct daemon *d = user;
	if (d->phase == DAEMON_STOPPING || lock_is_current(&d->lock, d->lock_path))
		return;
	log_error("state_folder_replaced", log_z("path", d->options->state_dir));
	d->keep_files = true;
	stop(d);
}

/* The end has limits of its own, and so has the start. */
static void on_pulse(void *user, int what)
{
	(void)what;
	struct daemon *d = user;
	if (d->phase == DAEMON_RUNNING)
		children_pulse(d);
}

/* ---- signals */

static void on_stop_signal(void *user, int signal)
{
	struct daemon *d = user;
	bool again = d->phase == DAEMON_STOPPING;
	log_info("daemon_stopping", log_z("signal", signal == SIGINT ? "SIGINT" : "SIGTERM"),
		 log_bool("at_once", again));
	if (d->phase == DAEMON_STARTING && d->failure.class == ERR_NONE)
		fail(&d->failure, ERR_CANCELLED, "the daemon was told to stop before it was ready");
	if (again)
		children_kill(d);
	else
		stop(d);
}

static int open_log(const struct daemon *d, struct err *err)
{
	AUTO_FREE char *path = state_dir_file(d->options->state_dir, "daemon.log");
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	return fd >= 0 ? fd : fail_errno(err, "cannot open '%s'", path);
}

static int turn_to_log(int fd, struct err *err)
{
	if (dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
		return fail_errno(err, "cannot turn to the new log file");
	return 0;
}

/* Whoever moved the old one away may compress it once all have let go of it. */
static void on_log_signal(void *user, int signal)
{
	(void)signal;
	struct daemon *d = user;
	static struct err err;
	err_clear(&err);
	if (!d->options->spawned) /* standard error is somebody else's */
		return;
	AUTO_FD fd = open_log(d, &err);
	if (fd < 0 || turn_to_log(fd, &err) != 0) {
		log_error("log_not_reopened", log_err(&err));
		return;
	}
	log_info("log_reopened");
	for (int i = 0; i < CHILDREN; i++) {
		if (process_is_ready(&d->children[i]))
			process_send(&d->children[i], SUPERVISE_LOG, 0, STR_EMPTY, &fd, 1);
	}
}

static void on_lock_signal(void *user, int signal)
{
	(void)signal;
	struct daemon *d = user;
	struct process *keeper = &d->children[CHILD_KEEPER];
	if (process_is_ready(keeper)) /* else it is locked */
		process_send(keeper, SUPERVISE_LOCK, 0, STR_EMPTY, NULL, 0);
}

static int watch_signals(struct daemon *d, struct err *err)
{
	static const struct {
		int signal;
		loop_fn *fn;
	} rows[] = {
		{SIGTERM, on_stop_signal},
		{SIGINT, on_stop_signal},
		{SIGHUP, on_log_signal},
		{SIGUSR1, on_lock_signal},
	};
	_Static_assert(ARRAY_LEN(rows) == ARRAY_LEN(d->signals), "a source each");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		d->signals[i] = loop_signal(d->loop, rows[i].signal, rows[i].fn, d, err);
		if (d->signals[i] == NULL)
			return -1;
	}
	return 0;
}

/* ---- the start */

/* A starter may have closed what is taken for the standard descriptors; a lock or a socket must not stand there. */
static int fill_standard_descriptors(struct err *err)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return fail_errno(err, "cannot open '/dev/null'");
	close(fd);
	return 0;
}

/* Its memory holds the keys. */
static int shut_off(struct err *err)
{
	const struct rlimit none = {0, 0};
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
		return fail_errno(err, "cannot become undumpable");
	signal(SIGPIPE, SIG_IGN);
	umask(077);
	/* Unlocking is the command line's; here it would only lie about. */
	secret_free(secret_from_env("AILERON_VAULT_PASSPHRASE", NULL));
	return 0;
}

static int fail_running(const struct daemon *d, struct err *err)
{
	return fail(err, ERR_CONFLICT, "a daemon runs already in '%s'; stop it with: aileron daemon stop",
		    d->options->state_dir);
}

static int take_lock(struct daemon *d, struct err *err)
{
	if (d->options->spawned) {
		int got = lock_adopt(&d->lock, DAEMON_FD_LOCK, d->lock_path, err);
		return got == 1 ? 0 : got == 0 ? fail_running(d, err) : -1;
	}
	for (int waited = 0; waited <= LOCK_WAIT_MS; waited += LOCK_POLL_MS) {
		int got = lock_try(&d->lock, d->lock_path, LOCK_ALONE, err);
		if (got != 0)
			return got == 1 ? 0 : -1;
		(void)poll(NULL, 0, LOCK_POLL_MS);
	}
	return fail_running(d, err);
}

static struct secret *random_secret(bool as_hex, struct err *err)
{
	unsigned char raw[SECRET_BYTES];
	char digits[2 * SECRET_BYTES + 1];
	rand_bytes(raw, sizeof raw);
	hex_format(str_of(raw, sizeof raw), digits);
	struct secret *secret = secret_from(as_hex ? str_from(digits) : str_of(raw, sizeof raw), err);
	mem_wipe(raw, sizeof raw);
	mem_wipe(digits, sizeof digits);
	return secret;
}

static int make_keys(struct daemon *d, struct err *err)
{
	unsigned char id[16];
	rand_bytes(id, sizeof id);
	hex_format(str_of(id, sizeof id), d->instance_id);
	d->started_ns = clock_wall_ns(NULL);
	d->token = random_secret(true, err);
	d->caveat_key = d->token != NULL ? random_secret(false, err) : NULL;
	return d->caveat_key != NULL ? 0 : -1;
}

static int open_files(struct daemon *d, struct err *err)
{
	const char *ca_file = d->options->ca_file;
	d->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (d->null_fd < 0)
		return fail_errno(err, "cannot open '/dev/null'");
	if (ca_file != NULL)
		d->ca_fd = open(ca_file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (ca_file != NULL && d->ca_fd < 0)
		return fail_errno(err, "cannot open the certificates '%s'", ca_file);
	/* The folder that its starter happened to be in is not to be held for as long as it lives. */
	if (d->options->spawned && chdir("/") != 0)
		return fail_errno(err, "cannot leave the present folder");
	return 0;
}

static int make_loop(struct daemon *d, struct err *err)
{
	d->loop = loop_new(err);
	if (d->loop == NULL || watch_signals(d, err) != 0)
		return -1;
	d->lock_watch = loop_timer(d->loop, on_lock_watch, d);
	d->patience = loop_timer(d->loop, on_patience, d);
	d->pulse = loop_timer(d->loop, on_pulse, d);
	uint64_t pulse_ms = d->options->pulse_ms != 0 ? d->options->pulse_ms : DAEMON_PULSE_MS;
	loop_timer_start(d->pulse, pulse_ms, pulse_ms);
	loop_timer_start(d->lock_watch, LOCK_WATCH_MS, LOCK_WATCH_MS);
	loop_timer_start(d->patience, START_MS, 0);
	return 0;
}

static int set_up(struct daemon *d, struct err *err)
{
	const char *path = d->options->state_dir;
	if (fill_standard_descriptors(err) != 0 || shut_off(err) != 0 || file_make_private_folder(path, err) != 0)
		return -1;
	d->lock_path = state_dir_file(path, "daemon.lock");
	if (take_lock(d, err) != 0 || state_dir_open(path, &d->dir, err) != 0 || open_files(d, err) != 0)
		return -1;
	discovery_remove(path); /* of a daemon that died */
	if (listeners_open(&d->listeners, path, d->options->bind, err) != 0 || make_keys(d, err) != 0)
		return -1;
	if (make_loop(d, err) != 0 || children_init(d, err) != 0)
		return -1;
	return children_start(d, err);
}

static int publish(struct daemon *d, struct err *err)
{
	struct discovery found = {.pid = getpid(), .api_revision = d->options->api_revision, .token = d->token};
	snprintf(found.url, sizeof found.url, "http://%s", d->listeners.address);
	snprintf(found.version, sizeof found.version, "%s", AILERON_VERSION);
	snprintf(found.instance_id, sizeof found.instance_id, "%s", d->instance_id);
	time_format_rfc3339(d->started_ns, 0, found.started_at);
	if (d->listeners.local >= 0 && listener_local_fits(d->options->state_dir))
		snprintf(found.socket, sizeof found.socket, "%s/daemon.sock", d->options->state_dir);
	return discovery_write(d->options->state_dir, &found, err);
}

void daemon_all_ready(struct daemon *d)
{
	static struct err err;
	if (publish(d, &err) != 0) {
		daemon_fail(d, &err);
		return;
	}
	d->phase = DAEMON_RUNNING;
	loop_timer_stop(d->patience);
	ready_tell(TAKE_FD(d->ready_fd));
	log_info("daemon_ready", log_z("listen", d->listeners.address), log_u64("pid", (uint64_t)getpid()),
		 log_z("version", AILERON_VERSION));
}

/* ---- its life */

/* In this order: nobody is left to use what goes; the lock, with the process's last look at the folder, goes last. */
static void tear_down(struct daemon *d)
{
	children_release(d);
	if (d->lock.fd >= 0 && !d->keep_files) {
		AUTO_FREE char *key = state_dir_file(d->options->state_dir, "keeper.pub");
		unlink(key); /* what is sealed to it nobody opens any more */
		discovery_remove(d->options->state_dir);
	}
	listeners_close(&d->listeners, d->options->state_dir, !d->keep_files);
	for (size_t i = 0; i < ARRAY_LEN(d->signals); i++)
		loop_source_free(d->signals[i]);
	loop_source_free(d->lock_watch);
	loop_source_free(d->pulse);
	loop_source_free(d->patience);
	loop_free(d->loop);
	state_dir_close(&d->dir);
	if (d->null_fd >= 0)
		close(d->null_fd);
	if (d->ca_fd >= 0)
		close(d->ca_fd);
	secret_free(d->token);
	secret_free(d->caveat_key);
	free(d->lock_path);
	lock_release(&d->lock);
}

static struct daemon *daemon_new(const struct daemon_options *options)
{
	struct daemon *d = NEW(struct daemon);
	d->options = options;
	d->lock = LOCK_INIT;
	d->dir = STATE_DIR_INIT;
	d->listeners = LISTENERS_INIT;
	d->null_fd = d->ca_fd = d->ready_fd = -1;
	if (options->spawned && fcntl(DAEMON_FD_READY, F_SETFD, FD_CLOEXEC) == 0)
		d->ready_fd = DAEMON_FD_READY;
	const struct log_options log = {
		.fd = STDERR_FILENO,
		.form = options->spawned ? LOG_FORM_JSON : LOG_FORM_TEXT,
		.level = options->log_level,
	};
	log_setup(&log);
	return d;
}

int daemon_run(const struct daemon_options *options, struct err *err)
{
	AUTO_FREE struct daemon *d = daemon_new(options);
	if (set_up(d, &d->failure) == 0)
		loop_run(d->loop);
	if (d->failure.class == ERR_NONE)
		log_info("daemon_stopped");
	else
		ready_tell_failure(TAKE_FD(d->ready_fd), &d->failure);
	tear_down(d);
	if (d->failure.class == ERR_NONE)
		return 0;
	if (err != NULL)
		*err = d->failure;
	return -1;
}
