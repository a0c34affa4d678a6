/*
 * aileron-connector-dev-run: one connector call from files on disk, for whoever writes the connector
 *
 * The harness is the parent of the same runner and egress that serve users. It reads the files, holds the credential until
 * egress has it, and prints what came of the call. Manual: docs/man/aileron-connector-dev-run.1.
 */
#include "base/limits.h"
#include "base/log.h"
#include "base/version.h"
#include "os/file.h"
#include "programs/dev-run/report.h"
#include "programs/dev-run/run.h"
#include "programs/dev-run/watch.h"
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

/* Neither a core dump nor another process of the same user may show what this process holds. */
static int harden(struct err *err)
{
	const struct rlimit none = {0, 0};
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
		return fail_errno(err, "cannot keep this process's memory to itself");
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

/* Readable when the user interrupts. From here on an interrupt waits until somebody looks. */
static int watch_interrupt(struct err *err)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? fail_errno(err, "cannot watch for interrupts") : fd;
}

static int print_text(int fd, void (*make)(struct buf *out))
{
	AUTO_BUF text = BUF_INIT(64 * KIB);
	make(&text);
	return report_write(fd, buf_str(&text), NULL) < 0 ? 1 : 0;
}

static void make_version(struct buf *out)
{
	buf_add_z(out, REPORT_PROGRAM " " AILERON_VERSION "\n");
}

/* --args: the text itself, a file, or standard input. */
static struct json *read_args(const char *value, struct err *err)
{
	AUTO_BUF text = BUF_INIT(LIMIT_INPUT);
	const char *name = value[0] == '@' ? value + 1 : "--args";
	int rc = 0;
	if (value[0] == '@')
		rc = file_read(value + 1, &text, err);
	else if (strcmp(value, "-") == 0)
		rc = file_read_fd(STDIN_FILENO, "standard input", &text, err);
	else
		buf_add_z(&text, value);
	if (rc < 0 || buf_check(&text, "--args", err) < 0)
		return NULL;
	struct json *args = json_parse(buf_str(&text), JSON_READ_STRICT, err);
	if (args == NULL) {
		wrap(err, "reading the arguments from '%s'", name);
		return NULL;
	}
	if (json_kind(args) == JSON_KIND_OBJECT)
		return args;
	fail(err, ERR_USAGE, "the arguments are %s, not an object", json_kind_name(json_kind(args)));
	json_free(args);
	return NULL;
}

/* Whoever loosens a rule reads it in the output. */
static void name_exceptions(const struct dev_options *options)
{
	for (size_t i = 0; i < options->n_openings; i++) {
		bool resolve = options->openings[i].address.n > 0;
		report_note("--%s: %s is %s", resolve ? "resolve" : "allow-private", options->opening_texts[i],
			    resolve ? "dialled as given" : "allowed to be at a private address");
	}
	if (options->ca_file != NULL)
		report_note("--ca-file: the certificates in '%s' are trusted instead of the system's",
			    options->ca_file);
	if (options->allowed.n > 0)
		report_note("--allow-unconfined: going on without %s where the machine lacks it", options->allowed.p);
}

static int run_and_watch(const struct run_inputs *inputs, struct err *err)
{
	const char *const paths[] = {inputs->options->wasm, inputs->options->manifest};
	struct watch *watch = watch_new(paths, ARRAY_LEN(paths), err);
	if (watch == NULL)
		return -1;
	int status, changed = 1;
	do {
		status = run_once(inputs);
		if (status == 130)
			break;
		report_note("watching '%s' and '%s'", paths[0], paths[1]);
		changed = watch_wait(watch, inputs->cancel_fd, err);
	} while (changed == 1);
	watch_free(watch);
	return changed < 0 ? -1 : 130;
}

static int run(const struct dev_options *options, struct dev_binding *binding, struct err *err)
{
	AUTO(json) *args = read_args(options->args, err);
	if (args == NULL)
		return -1;
	AUTO_FD interrupt = watch_interrupt(err);
	if (interrupt < 0)
		return -1;
	name_exceptions(options);
	struct run_inputs inputs = {
		.options = options,
		.args = args,
		.binding = binding,
		.once = !options->watch,
		.cancel_fd = interrupt,
	};
	return options->watch ? run_and_watch(&inputs, err) : run_once(&inputs);
}

/* A secret in memory that may be swapped out is one less locked away; the user can raise the limit. */
static void note_unlocked(const struct dev_binding *binding)
{
	const struct secret *secrets[] = {binding->token, binding->key};
	for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
		if (secrets[i] != NULL && !secret_locked(secrets[i])) {
			report_note("the secret's memory could not be locked and may be swapped out; a higher limit of "
				    "locked memory (ulimit -l) helps");
			return;
		}
	}
}

static int start(const struct dev_options *options, struct dev_binding *binding, struct err *err)
{
	if (dev_options_check(options, err) < 0) {
		(void)print_text(STDERR_FILENO, dev_options_help);
		return -1;
	}
	log_set_level(options->verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN);
	if (dev_binding_read(binding, err) < 0)
		return -1;
	note_unlocked(binding);
	return run(options, binding, err);
}

int main(int argc, char **argv)
{
	static struct err err;
	struct dev_options options;
	struct dev_binding binding = {0};
	if (harden(&err) < 0 || dev_options_parse(&options, argc, argv, &err) < 0) {
		report_failure(&err);
		return 1;
	}
	int status = 0;
	if (options.help)
		status = print_text(STDOUT_FILENO, dev_options_help);
	else if (options.version)
		status = print_text(STDOUT_FILENO, make_version);
	else
		status = start(&options, &binding, &err);
	if (status < 0)
		report_failure(&err);
	dev_binding_release(&binding);
	dev_options_release(&options);
	return status < 0 ? 1 : status;
}
