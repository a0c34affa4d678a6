#include "base/log.h"
#include "base/mem.h"
#include "supervise/supervise.h"
#include "text/wire.h"

#define SETTINGS_MAX 32

struct setting {
	struct str key, value;
};

struct supervise_start {
	struct supervise_message message; /* what keys and values point into */
	struct setting settings[SETTINGS_MAX];
	size_t n;
};

/* One a process, for its whole life. */
static struct supervise_start the_start;

static int prove(const struct supervised_spec *spec, const struct confine_options *options, struct err *err)
{
	static struct confine_report report;
	if (confine_apply(spec->policy, options, &report, err) != 0)
		return wrap(err, "confining '%s'", spec->name);
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	confine_report_put(&body, &report);
	return supervise_send(SUPERVISE_FD, SUPERVISE_PROOF, 0, buf_str(&body), NULL, 0, err);
}

static int read_settings(struct supervise_start *start, struct err *err)
{
	struct wire_reader r = wire_reader(supervise_body(&start->message));
	uint32_t n = wire_count(&r, 2 * sizeof(uint32_t));
	if (n > SETTINGS_MAX)
		return fail(err, ERR_PROTOCOL, "the order to start has more than %d settings", SETTINGS_MAX);
	for (uint32_t i = 0; i < n; i++) {
		start->settings[i].key = wire_str(&r);
		start->settings[i].value = wire_str(&r);
	}
	if (wire_done(&r, "order to start", err) != 0)
		return -1;
	start->n = n;
	return 0;
}

/* 1 with the settings, 0 when the parent ended instead. */
static int wait_for_start(struct supervise_start *start, struct err *err)
{
	int got = supervise_recv(SUPERVISE_FD, &start->message, err);
	if (got == 2)
		return fail(err, ERR_PROTOCOL, "the link to the parent does not block");
	if (got != 1)
		return got;
	if (start->message.frame.type != SUPERVISE_START || start->message.n_fds != 0) {
		supervise_close_fds(&start->message);
		return fail(err, ERR_PROTOCOL, "message %u came where the order to start was due",
			    start->message.frame.type);
	}
	return read_settings(start, err) == 0 ? 1 : -1;
}

static void set_up_log(const struct supervise_start *start)
{
	struct log_options options = {.fd = STDERR_FILENO, .level = LOG_LEVEL_INFO};
	if (str_eq(supervise_setting(start, SETTING_LOG_JSON), S("1")))
		options.form = LOG_FORM_JSON;
	(void)log_level_named(supervise_setting(start, SETTING_LOG_LEVEL), &options.level);
	log_setup(&options);
}

const struct supervise_start *supervised_begin(const struct supervised_spec *spec, int argc, char **argv)
{
	struct confine_options options;
	if (confine_begin(spec->name, argc, argv, &options) != 0)
		return NULL;
	options.keep_fds = spec->keep_fds;
	options.own_folder = spec->folder_fd;
	static struct err err;
	int got = prove(spec, &options, &err);
	if (got == 0)
		got = wait_for_start(&the_start, &err);
	if (got == 0) /* nobody is left to be told */
		return NULL;
	if (got < 0) {
		supervised_failed(&err);
		return NULL;
	}
	set_up_log(&the_start);
	return &the_start;
}

static const struct setting *find(const struct supervise_start *start, const char *key)
{
	for (size_t i = 0; i < start->n; i++) {
		if (str_eq(start->settings[i].key, str_from(key)))
			return &start->settings[i];
	}
	return NULL;
}

struct str supervise_setting(const struct supervise_start *start, const char *key)
{
	const struct setting *setting = find(start, key);
	return setting != NULL ? setting->value : STR_EMPTY;
}

uint64_t supervise_setting_u64(const struct supervise_start *start, const char *key, uint64_t otherwise)
{
	uint64_t value = otherwise;
	(void)str_to_u64(supervise_setting(start, key), UINT64_MAX, &value);
	return value;
}

void supervised_forget(const struct supervise_start *start, const char *key)
{
	const struct setting *setting = find(start, key);
	if (setting == NULL || start != &the_start)
		return;
	size_t offset = (size_t)(setting->value.p - (const char *)the_start.message.frame.body);
	mem_wipe(the_start.message.frame.body + offset, setting->value.n);
	the_start.settings[setting - the_start.settings].value = STR_EMPTY;
}

int supervised_ready(struct str body, struct err *err)
{
	return supervise_send(SUPERVISE_FD, SUPERVISE_READY, 0, body, NULL, 0, err);
}

void supervised_failed(const struct err *err)
{
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	supervise_put_err(&body, err);
	if (supervise_send(SUPERVISE_FD, SUPERVISE_FAILED, 0, buf_str(&body), NULL, 0, NULL) != 0)
		log_error("failure_not_told", log_err(err));
}

/* ---- orders */

static int take_peer(struct supervise_message *m, const struct supervised_orders *orders, struct err *err)
{
	struct wire_reader r = wire_reader(supervise_body(m));
	unsigned role = wire_u8(&r);
	if (wire_done(&r, "peer", err) != 0)
		return -1;
	if (m->n_fds != 1 || role >= SUPERVISE_ROLE__MAX || (orders->neighbours >> role & 1) == 0)
		return fail(err, ERR_PROTOCOL, "the parent named a peer of role %u with %zu descriptors", role,
			    m->n_fds);
	return orders->peer(orders->user, (enum supervise_role)role, TAKE_FD(m->fds[0]), err);
}

static int take_stop(const struct supervise_message *m, const struct supervised_orders *orders, struct err *err)
{
	struct wire_reader r = wire_reader(supervise_body(m));
	uint64_t ms = wire_u64(&r);
	if (wire_done(&r, "stop", err) != 0)
		return -1;
	orders->stop(orders->user, MIN(ms, SUPERVISE_STOP_MAX_MS));
	return 0;
}

static int take_log(const struct supervise_message *m, struct err *err)
{
	if (m->n_fds != 1)
		return fail(err, ERR_PROTOCOL, "the parent sent no log file");
	if (dup2(m->fds[0], STDERR_FILENO) < 0) {
		static struct err why;
		fail_errno(&why, "cannot turn to the new log file");
		log_error("log_not_reopened", log_err(&why));
	}
	return 0;
}

int supervised_refuse(const struct supervise_message *m, struct err *err)
{
	return fail(err, ERR_PROTOCOL, "the parent sent message %u, which is not for this process", m->frame.type);
}

int supervised_obey(int fd, struct supervise_message *m, const struct supervised_orders *orders, struct err *err)
{
	switch (m->frame.type) {
	case SUPERVISE_PEER:
		return take_peer(m, orders, err);
	case SUPERVISE_STOP:
		return take_stop(m, orders, err);
	case SUPERVISE_LOG:
		return take_log(m, err);
	case SUPERVISE_PING: /* a parent that is gone shows at the next look */
		(void)!supervise_send(fd, SUPERVISE_PONG, 0, STR_EMPTY, NULL, 0, NULL);
		return 0;
	default:
		return orders->other != NULL ? orders->other(orders->user, m, err) : supervised_refuse(m, err);
	}
}
