#include "base/hex.h"
#include "base/log.h"
#include "confine/policies.h"
#include "daemon/config.h"
#include "daemon/daemon.h"
#include "daemon/folder.h"
#include "os/file.h"
#include "text/wire.h"
#include <stdio.h>

#define EGRESS_FD_CA     4 /* egress/egress_protocol.h, which lies on a floor above */
#define PUBLIC_KEY_BYTES 32
#define KEY_ID_BYTES     8

static const struct process_row rows[CHILDREN] = {
	[CHILD_CONTROL] = {SUPERVISE_CONTROL, "aileron-control", &confine_control, DAEMON_TURNS},
	/* It has one thread, which Argon2id holds for as long as the parameters of a vault want. */
	[CHILD_KEEPER] = {SUPERVISE_KEEPER, "aileron-keeper", &confine_keeper, DAEMON_TURNS_KEEPER},
	[CHILD_EGRESS] = {SUPERVISE_EGRESS, "aileron-egress", &confine_egress, DAEMON_TURNS},
};

/* ---- settings of START */

struct settings {
	uint32_t n;
	struct buf rows; /* some are secret */
};

static void put(struct settings *settings, const char *key, struct str value)
{
	wire_put_str(&settings->rows, str_from(key));
	wire_put_str(&settings->rows, value);
	settings->n++;
}

static void put_number(struct settings *settings, const char *key, uint64_t value)
{
	char digits[24];
	snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
	put(settings, key, str_from(digits));
}

static void put_flag(struct settings *settings, const char *key, bool value)
{
	put(settings, key, value ? S("1") : S("0"));
}

static void put_for_control(struct settings *settings, const struct daemon *d)
{
	const struct daemon_options *options = d->options;
	put(settings, SETTING_ALLOWED, options->allowed);
	put(settings, SETTING_TOKEN, secret_borrow(d->token));
	put(settings, SETTING_CAVEAT_KEY, secret_borrow(d->caveat_key));
	put(settings, SETTING_LISTEN, str_from(d->listeners.address));
	put(settings, SETTING_STATE_DIR, str_from(options->state_dir));
	put_number(settings, SETTING_STARTED_AT, d->started_ns);
	for (int i = 0; i < CONFIG__MAX; i++) {
		if (config_rows[i].setting != NULL)
			put(settings, config_rows[i].setting, str_from(options->config->value[i]));
	}
}

/* Where the gateway leads is not for control to say. */
static void put_for_egress(struct settings *settings, const struct daemon *d)
{
	put_flag(settings, SETTING_CA_FILE, d->ca_fd >= 0);
	for (int i = CONFIG_GATEWAY_ANTHROPIC; i <= CONFIG_GATEWAY_INJECT_OPENAI; i++)
		put(settings, config_rows[i].setting, str_from(d->options->config->value[i]));
}

static void put_settings(void *user, const struct process *process, struct buf *out)
{
	const struct daemon *d = user;
	struct settings settings = {.rows = BUF_INIT_SECRET(SUPERVISE_BODY)};
	put(&settings, SETTING_INSTANCE_ID, str_from(d->instance_id));
	put(&settings, SETTING_LOG_LEVEL, str_from(log_level_name(d->options->log_level)));
	put_flag(&settings, SETTING_LOG_JSON, d->options->spawned);
	if (process->row->role == SUPERVISE_CONTROL)
		put_for_control(&settings, d);
	else if (process->row->role == SUPERVISE_KEEPER)
		put(&settings, SETTING_AUTO_LOCK_MS, str_from(d->options->config->value[CONFIG_VAULT_AUTO_LOCK]));
	else
		put_for_egress(&settings, d);
	wire_put_u32(out, settings.n);
	buf_add_str(out, buf_str(&settings.rows));
	buf_release(&settings.rows);
}

/* ---- what they become */

static struct process *control_of(struct daemon *d)
{
	return &d->children[CHILD_CONTROL];
}

static void tell_control(struct daemon *d, const struct process *process)
{
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	struct supervise_child child = process_child(process);
	supervise_child_put(&body, &child);
	process_send(control_of(d), SUPERVISE_CHILD, 0, buf_str(&body), NULL, 0);
}

static void on_changed(void *user, struct process *process)
{
	struct daemon *d = user;
	if (process_is_ready(control_of(d)))
		tell_control(d, process);
}

static int publish_key(const struct daemon *d, const char *name, struct str key, struct err *err)
{
	char text[2 * PUBLIC_KEY_BYTES + 2];
	hex_format(key, text);
	text[sizeof text - 2] = '\n';
	AUTO_FREE char *path = state_dir_file(d->options->state_dir, name);
	return file_publish(path, str_of(text, sizeof text - 1), 0600, err);
}

static int publish_keys(const struct daemon *d, struct str body, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	struct str sealing = wire_str(&r), device = wire_str(&r), id = wire_str(&r);
	if (wire_done(&r, "the keeper's keys", err) != 0)
		return -1;
	if (sealing.n != PUBLIC_KEY_BYTES || device.n != PUBLIC_KEY_BYTES || id.n != KEY_ID_BYTES)
		return fail(err, ERR_PROTOCOL, "the keeper's keys have wrong sizes");
	if (publish_key(d, "keeper.pub", sealing, err) != 0)
		return -1;
	return publish_key(d, "device.pub", device, err);
}

/* A pair between two that are ready: both drop what they had under way on the old one. */
static int join(struct process *a, struct process *b, struct err *err)
{
	int pair[2];
	if (child_socketpair(pair, err) != 0)
		return -1;
	AUTO_FD for_a = pair[0];
	AUTO_FD for_b = pair[1];
	unsigned char role_a = (unsigned char)a->row->role, role_b = (unsigned char)b->row->role;
	process_send(a, SUPERVISE_PEER, 0, str_of(&role_b, 1), &for_a, 1);
	process_send(b, SUPERVISE_PEER, 0, str_of(&role_a, 1), &for_b, 1);
	return 0;
}

/* Control and egress have a second pair, on which an answer that takes long holds up nobody else's. */
static int join_gateway(struct daemon *d, struct err *err)
{
	struct process *a = control_of(d), *b = &d->children[CHILD_EGRESS];
	int pair[2];
	if (child_socketpair(pair, err) != 0)
		return -1;
	AUTO_FD for_a = pair[0];
	AUTO_FD for_b = pair[1];
	process_send(a, SUPERVISE_GATEWAY, 0, STR_EMPTY, &for_a, 1);
	process_send(b, SUPERVISE_GATEWAY, 0, STR_EMPTY, &for_b, 1);
	d->gateway_pairs++;
	return 0;
}

static bool has_gateway(const struct process *process)
{
	return process->row->role == SUPERVISE_CONTROL || process->row->role == SUPERVISE_EGRESS;
}

static int join_all(struct daemon *d, struct process *process, struct err *err)
{
	for (int i = 0; i < CHILDREN; i++) {
		struct process *other = &d->children[i];
		if (other == process || !process_is_ready(other))
			continue;
		if (join(process, other, err) != 0)
			return -1;
		if (has_gateway(process) && has_gateway(other) && join_gateway(d, err) != 0)
			return -1;
	}
	return 0;
}

static bool all_ready(const struct daemon *d)
{
	for (int i = 0; i < CHILDREN; i++) {
		if (!process_is_ready(&d->children[i]))
			return false;
	}
	return true;
}

static int on_ready(void *user, struct process *process, struct str body, struct err *err)
{
	struct daemon *d = user;
	if (process == &d->children[CHILD_KEEPER] && publish_keys(d, body, err) != 0)
		return -1;
	if (process == control_of(d))
		d->gateway_pairs = 0;
	if (join_all(d, process, err) != 0)
		return -1;
	log_info("child_ready", log_z("program", process->row->program), log_u64("pid", (uint64_t)process->child.pid));
	if (process == control_of(d)) {
		for (int i = 0; i < CHILDREN; i++)
			tell_control(d, &d->children[i]);
	} else {
		on_changed(d, process);
	}
	if (d->phase == DAEMON_STARTING && all_ready(d))
		daemon_all_ready(d);
	else if (d->phase == DAEMON_STOPPING)
		process_kill(process); /* it began when the end was not in sight */
	return 0;
}

static bool on_ended(void *user, struct process *process, const struct err *why)
{
	struct daemon *d = user;
	if (process == control_of(d)) {
		runners_kill_all(d->runners);
		watches_clear(d->watches);
	} else if (process == &d->children[CHILD_EGRESS]) {
		runners_kill_serving(d->runners);
	}
	if (d->phase == DAEMON_RUNNING) {
		log_warn("child_ended", log_z("program", process->row->program), log_err(why),
			 log_u64("again_in_ms", process->backoff_ms));
		return true;
	}
	if (d->phase == DAEMON_STARTING)
		daemon_fail(d, why);
	daemon_proceed_stopping(d);
	return false;
}

/* ---- what control asks for */

static bool open_folder(struct daemon *d, struct supervise_message *m)
{
	struct wire_reader r = wire_reader(supervise_body(m));
	struct str path = wire_str(&r);
	if (wire_done(&r, "folder", NULL) != 0 || m->n_fds != 0)
		return false;
	static struct err err;
	err_clear(&err);
	AUTO_FOLDER folder = FOLDER_INIT;
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	if (folder_open(path, &folder, &err) == 0) {
		const int fds[] = {folder.manifest, folder.wasm};
		wire_put_str(&body, str_from(folder.path));
		process_send(control_of(d), SUPERVISE_FOLDER, m->frame.id, buf_str(&body), fds, ARRAY_LEN(fds));
	} else {
		supervise_put_err(&body, &err);
		process_send(control_of(d), SUPERVISE_FOLDER_FAILED, m->frame.id, buf_str(&body), NULL, 0);
	}
	return true;
}

/* One frame that an end took for a bad one is not to cost the gateway more than the pair. */
static bool gateway_lost(struct daemon *d, const struct supervise_message *m)
{
	if (m->n_fds != 0 || m->frame.n != 0)
		return false;
	static struct err err;
	err_clear(&err);
	/* Otherwise another is on its way, or comes when egress is ready. */
	if (m->frame.id != d->gateway_pairs || !process_is_ready(&d->children[CHILD_EGRESS]))
		return true;
	if (join_gateway(d, &err) != 0)
		log_error("gateway_not_joined", log_err(&err));
	return true;
}

static bool on_request(void *user, struct process *process, struct supervise_message *m)
{
	struct daemon *d = user;
	if (process != control_of(d))
		return false;
	switch (m->frame.type) {
	case SUPERVISE_START_RUNNER:
		return runners_start(d->runners, m);
	case SUPERVISE_KILL_RUNNER:
		return runners_kill(d->runners, m);
	case SUPERVISE_OPEN_FOLDER:
		return open_folder(d, m);
	case SUPERVISE_NOTIFY:
		return notices_asked(d->notices, m);
	case SUPERVISE_GATEWAY_LOST:
		return gateway_lost(d, m);
	case SUPERVISE_WATCH:
	case SUPERVISE_UNWATCH:
	case SUPERVISE_LIST:
	case SUPERVISE_OPEN_FILE:
		return watches_asked(d->watches, m);
	default:
		return false;
	}
}

/* ---- all of them */

static void give(struct process *process, int from, int to)
{
	process->fds[process->n_fds++] = (struct child_fd){from, to};
}

static void give_descriptors(struct daemon *d)
{
	struct process *control = control_of(d);
	int local = d->listeners.local;
	give(control, d->listeners.tcp, CONTROL_FD_TCP);
	give(control, local >= 0 ? local : d->null_fd, CONTROL_FD_UNIX);
	give(control, d->dir.control, CONTROL_FD_FOLDER);
	give(&d->children[CHILD_KEEPER], d->dir.vault, KEEPER_FD_FOLDER);
	give(&d->children[CHILD_EGRESS], d->ca_fd >= 0 ? d->ca_fd : d->null_fd, EGRESS_FD_CA);
}

static bool wants_notices(const struct daemon_options *options)
{
	return strcmp(options->config->value[CONFIG_NOTIFY], "1") == 0;
}

int children_init(struct daemon *d, struct err *err)
{
	const struct process_listener listener = {
		.settings = put_settings,
		.ready = on_ready,
		.request = on_request,
		.changed = on_changed,
		.ended = on_ended,
		.user = d,
	};
	const char *const *programs = d->options->programs;
	for (int i = 0; i < CHILDREN; i++) {
		struct process *process = &d->children[i];
		if (process_init(process, d->loop, &rows[i], programs[rows[i].role], err) != 0)
			return -1;
		process->listener = listener;
		process->allowed = d->options->allowed;
		process->null_fd = d->null_fd;
	}
	give_descriptors(d);
	d->notices = notices_new(d->loop, d->null_fd, wants_notices(d->options));
	d->watches = watches_new(d->loop, control_of(d));
	d->runners = runners_new(control_of(d), &d->children[CHILD_EGRESS], programs[SUPERVISE_RUNNER], err);
	return d->runners != NULL ? 0 : -1;
}

/* All at once, the one that takes longest to load first. */
int children_start(struct daemon *d, struct err *err)
{
	static const int order[CHILDREN] = {CHILD_EGRESS, CHILD_CONTROL, CHILD_KEEPER};
	for (int i = 0; i < CHILDREN; i++) {
		if (process_start(&d->children[order[i]], err) != 0)
			return -1;
	}
	return 0;
}

void children_pulse(struct daemon *d)
{
	for (int i = 0; i < CHILDREN; i++)
		process_pulse(&d->children[i]);
}

void children_kill(struct daemon *d)
{
	for (int i = 0; i < CHILDREN; i++)
		process_kill(&d->children[i]);
}

bool children_are_down(const struct daemon *d)
{
	for (int i = 0; i < CHILDREN; i++) {
		if (d->children[i].state != PROCESS_DOWN)
			return false;
	}
	return true;
}

void children_release(struct daemon *d)
{
	runners_free(d->runners); /* it sends to control */
	d->runners = NULL;
	watches_free(TAKE(d->watches));
	notices_free(TAKE(d->notices));
	for (int i = 0; i < CHILDREN; i++)
		process_release(&d->children[i]);
}
