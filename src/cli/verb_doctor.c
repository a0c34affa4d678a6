#include "cli/doctor.h"
#include "cli/verb_functions.h"

#define CHECKS_MAX ((size_t)1 << 20)
#define NONCE_MS   2000

/* What the running daemon finds in itself, behind what was found from outside. */
static int ask_daemon(struct cli *cli, struct doctor *doctor, struct err *err)
{
	AUTO(json) *answer = NULL;
	const struct client_request request = {.operation = OP_DOCTOR, .timeout_ms = 120000};
	if (client_call(cli->client, &request, &answer, err) < 0)
		return -1;
	const struct json *checks = json_member(answer, S("checks"));
	for (size_t i = 0; i < json_length(checks); i++) {
		struct json_writer w;
		jsonw_init(&w, doctor->checks, JSON_WRITER_PLAIN);
		if (doctor->checks->n > 0)
			buf_add_char(doctor->checks, ',');
		jsonw_value(&w, json_at(checks, i));
	}
	doctor->ok = doctor->ok && cli_bool(answer, "ok");
	return 0;
}

/* The keeper's key as the daemon has it; "" when the keeper cannot say, which the daemon tells among its own. */
static struct str keepers_key(struct cli *cli)
{
	AUTO(json) *answer = NULL;
	const struct client_request request = {.operation = OP_VAULT_NONCE, .timeout_ms = NONCE_MS};
	if (client_call(cli->client, &request, &answer, NULL) < 0)
		return STR_EMPTY;
	return arena_str(cli->arena, cli_str(answer, "public_key"));
}

static void put_check(struct cli *cli, const struct json *check)
{
	bool ok = cli_bool(check, "ok");
	struct printer *out = &cli->out;
	print_styled(out, ok ? PRINT_GOOD : PRINT_BAD, ok ? "ok  " : "BAD ");
	print_text(out, " %-18s ", cli_visible(cli, cli_str(check, "name")).p);
	print_from(out, cli_str(check, "summary"));
	print_text(out, "\n");
	if (cli_str(check, "advice").n == 0)
		return;
	print_text(out, "     %-18s ", "");
	print_from(out, cli_str(check, "advice"));
	print_text(out, "\n");
}

int verb_doctor(struct cli *cli, struct err *err)
{
	static struct err why;
	AUTO_BUF checks = BUF_INIT(CHECKS_MAX);
	AUTO_BUF text = BUF_INIT(CHECKS_MAX + 64);
	struct doctor doctor = {.checks = &checks, .ok = true};
	err_clear(&why);
	int alive = cli_client_if_alive(cli, &why);
	doctor_look(&doctor, cli->state_dir, alive == 1);
	if (alive == 1)
		doctor_look_at_keys(&doctor, cli->state_dir, keepers_key(cli));
	if (alive == 1)
		doctor_add(&doctor, "daemon", true, str_from(client_url(cli->client)), "");
	else
		doctor_add(&doctor, "daemon", alive == 0, alive == 0 ? S("not running") : str_from(why.message),
			   "'aileron daemon restart'");
	if (alive == 1 && ask_daemon(cli, &doctor, err) < 0)
		return -1;
	buf_addf(&text, "{\"ok\":%s,\"checks\":[", doctor.ok ? "true" : "false");
	buf_add_str(&text, buf_str(&checks));
	buf_add_z(&text, "]}");
	AUTO(json) *result = json_parse(buf_str(&text), JSON_READ_STRICT, err);
	if (result == NULL)
		return -1;
	if (cli->json) {
		print_json(&cli->out, result);
	} else {
		const struct json *all = json_member(result, S("checks"));
		for (size_t i = 0; i < json_length(all); i++)
			put_check(cli, json_at(all, i));
	}
	return doctor.ok ? CLI_OK : CLI_FAILED;
}
