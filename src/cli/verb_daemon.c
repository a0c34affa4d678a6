#include "cli/cli.h"
#include "cli/verb_functions.h"
#include "confine/confine.h"
#include "daemon/listeners.h"
#include "daemon/config.h"
#include "daemon/parent.h"
#include "daemon/ready.h"
#include "daemon/spawn.h"
#include "text/json_members.h"
#include <stdio.h>
#include <stdlib.h>

/* ----------------------------------------------------------------------------------------------------------------- run */

/* A flag of `daemon run`, or the variable that a daemon started by another verb is configured with; "" is unset. */
static const char *setting(const struct cli *cli, const char *flag, const char *variable)
{
	const char *value = cli->line->verb->run == verb_daemon_run ? verb_text(cli->line, flag) : NULL;
	if (value == NULL)
		value = getenv(variable);
	return value != NULL && value[0] != '\0' ? value : NULL;
}

static int read_log_level(const char *text, enum log_level *ret, struct err *err)
{
	if (text == NULL || log_level_named(str_from(text), ret))
		return 0;
	return fail(err, ERR_USAGE, "'%s' is no level of the log: debug, info, warn or error", text);
}

static int check_boundaries(struct str list, struct err *err)
{
	while (list.n > 0) {
		struct str word;
		list = str_cut(list, ',', &word);
		if (!confine_is_boundary(word))
			return fail(err, ERR_USAGE, "'%.*s' is no boundary that --allow-unconfined knows",
				    STR_FMT(word));
	}
	return 0;
}

/* What the file sets; a flag or a variable wins over it. */
static int read_config(struct cli *cli, struct daemon_options *options, struct err *err)
{
	static const struct {
		const char *flag, *variable;
		int row;
	} given[] = {
		{"audit-keep-days", "AILERON_AUDIT_KEEP_DAYS", CONFIG_AUDIT_KEEP_DAYS},
		{"auto-lock", "AILERON_AUTO_LOCK", CONFIG_VAULT_AUTO_LOCK},
		{"otlp-endpoint", "AILERON_OTLP_ENDPOINT", CONFIG_OTLP_ENDPOINT},
		{"otlp-service", "AILERON_OTLP_SERVICE", CONFIG_OTLP_SERVICE},
	};
	static struct config config;
	static char bind[32];
	if (config_load(cli->state_dir, &config, err) < 0)
		return wrap(err, "reading the configuration");
	for (size_t i = 0; i < ARRAY_LEN(given); i++) {
		const char *value = setting(cli, given[i].flag, given[i].variable);
		int row = given[i].row;
		if (value != NULL &&
		    config_read_value(row, str_from(value), config.text[row], config.value[row], err) < 0)
			return cli_refuse(given[i].flag, err);
	}
	options->config = &config;
	snprintf(bind, sizeof bind, "127.0.0.1:%.5s", config.value[CONFIG_DAEMON_PORT]);
	if (options->bind == NULL)
		options->bind = bind;
	return 0;
}

static int read_options(struct cli *cli, struct daemon_options *ret, struct err *err)
{
	*ret = (struct daemon_options){
		.state_dir = cli->state_dir,
		.bind = setting(cli, "bind", "AILERON_BIND"),
		.allowed = str_from(setting(cli, "allow-unconfined", "AILERON_ALLOW_UNCONFINED")),
		.log_level = LOG_LEVEL_INFO,
		.api_revision = API_REVISION,
		.ca_file = setting(cli, "ca-file", "AILERON_CA_FILE"),
	};
	if (ret->bind != NULL && listener_check_address(ret->bind, err) < 0)
		return cli_refuse("bind", err);
	if (read_log_level(setting(cli, "log-level", "AILERON_LOG_LEVEL"), &ret->log_level, err) < 0 ||
	    check_boundaries(ret->allowed, err) < 0)
		return -1;
	return read_config(cli, ret, err);
}

int verb_daemon_run(struct cli *cli, struct err *err)
{
	struct daemon_options options;
	bool spawned = verb_switch(cli->line, "spawned");
	if (read_options(cli, &options, err) < 0) {
		if (spawned)
			ready_tell_failure(DAEMON_FD_READY, err); /* whoever started it shows it */
		return -1;
	}
	options.spawned = spawned;
	return daemon_run(&options, err) < 0 ? -1 : CLI_OK;
}

/* --------------------------------------------------------------------------------------------------------------- others */

static void put_where(struct cli *cli, bool running)
{
	const struct discovery *found = running ? client_discovery(cli->client) : NULL;
	struct json_writer w;
	jsonw_init(&w, &cli->out.out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_bool(&w, "running", running);
	if (running) {
		member_str(&w, "url", str_from(client_url(cli->client)));
		member_str(&w, "version", cli_str(client_health(cli->client), "version"));
	}
	if (found != NULL) {
		jsonw_key(&w, S("pid"));
		jsonw_int(&w, found->pid);
		member_str(&w, "started_at", str_from(found->started_at));
	}
	member_str(&w, "state_dir", str_from(cli->state_dir));
	jsonw_end_object(&w);
	print_text(&cli->out, "\n");
}

static void put_where_for_people(struct cli *cli)
{
	const struct discovery *found = client_discovery(cli->client);
	print_pair(&cli->out, "URL", str_from(client_url(cli->client)));
	if (found != NULL)
		print_text(&cli->out, "%-14s%d\n", "PID", found->pid);
	print_pair(&cli->out, "Version", cli_str(client_health(cli->client), "version"));
	if (found != NULL)
		print_pair(&cli->out, "Started", cli_time(cli, str_from(found->started_at)));
	print_pair(&cli->out, "State dir", str_from(cli->state_dir));
}

int verb_daemon_start(struct cli *cli, struct err *err)
{
	if (cli_client(cli, err) == NULL)
		return -1;
	if (cli->json)
		put_where(cli, true);
	else
		put_where_for_people(cli);
	return CLI_OK;
}

int verb_daemon_status(struct cli *cli, struct err *err)
{
	AUTO(json) *vault = NULL;
	int alive = cli_client_if_alive(cli, err);
	if (alive < 0)
		return -1;
	if (cli->json) {
		put_where(cli, alive == 1);
		return alive == 1 ? CLI_OK : CLI_UNREACHABLE;
	}
	if (alive == 0) {
		print_text(&cli->out, "The daemon is not running; 'aileron daemon start' starts it.\n");
		print_pair(&cli->out, "State dir", str_from(cli->state_dir));
		return CLI_UNREACHABLE;
	}
	put_where_for_people(cli);
	const struct client_request request = {.operation = OP_VAULT_STATUS, .timeout_ms = 5000};
	if (client_call(cli->client, &request, &vault, err) < 0)
		return -1;
	print_pair(&cli->out, "Vault", cli_str(vault, "state"));
	return CLI_OK;
}

int verb_daemon_stop(struct cli *cli, struct err *err)
{
	int stopped = daemon_stop(cli->state_dir, 0, err);
	if (stopped < 0)
		return -1;
	if (cli->json)
		print_text(&cli->out, "{\"stopped\":%s}\n", stopped == 1 ? "true" : "false");
	else
		print_text(&cli->out, stopped == 1 ? "Stopped\n" : "The daemon was not running\n");
	return CLI_OK;
}

/* What the new one would refuse to start with leaves the old one running. */
int verb_daemon_restart(struct cli *cli, struct err *err)
{
	struct daemon_options options;
	if (read_options(cli, &options, err) < 0)
		return wrap(err, "nothing was stopped");
	if (daemon_stop(cli->state_dir, 0, err) < 0)
		return -1;
	return verb_daemon_start(cli, err);
}
