#include "cli/oauth.h"
#include "api/query.h"
#include "base/base64.h"
#include "base/rand.h"
#include "base/time.h"
#include "cli/browser.h"
#include "cli/passphrase.h"
#include "cli/redirect.h"
#include "cli/sealing.h"
#include "crypto/digest.h"
#include "text/json_members.h"

#define VERIFIER_BYTES 32
#define VERIFIER_CHARS 43
#define TEXT_MAX       ((size_t)64 << 10)
#define FINISH_MS      60000
#define INTERVAL_MAX_S 60

/* -------------------------------------------------------------------------------------------------------------- starting */

struct beginning {
	const struct oauth_wish *wish;
	struct str challenge, redirect_uri; /* "" = device */
};

static void init_body(struct json_writer *w, struct str sealed, const void *user)
{
	const struct beginning *beginning = user;
	const struct binding_fields *fields = &beginning->wish->fields;
	bool device = beginning->challenge.n == 0;
	member_str_given(w, "connector_fqn", fields->connector_fqn);
	member_str_given(w, "identity", fields->identity);
	member_str_given(w, "service", fields->service);
	member_str_given(w, "account", fields->account);
	member_str_given(w, "purpose", beginning->wish->reauthorize ? S("reauthorize") : STR_EMPTY);
	member_str_given(w, "caller", S("cli"));
	member_str_given(w, "redirect_uri", beginning->redirect_uri);
	member_str_given(w, "flow", device ? S("device") : S("code"));
	member_str_given(w, "code_challenge", beginning->challenge);
	sealing_body_alone(w, sealed, NULL);
}

static int begin(struct cli *cli, const struct beginning *beginning, struct sealed_field proof, struct json **ret,
		 struct err *err)
{
	struct sealed_request request = {
		.request = {.operation = OP_OAUTH_INIT},
		.sealing = {.operation = KEEPER_OP_OAUTH, .fields = {proof}, .n_fields = 1},
		.body = init_body,
		.user = beginning,
	};
	if (sealing_bind(cli, &request.sealing, &beginning->wish->fields, &beginning->wish->consent, err) < 0)
		return -1;
	return sealing_call(cli, &request, ret, err);
}

/* ---------------------------------------------------------------------------------------------------------- with a browser */

static int check_parameter(struct str query, const char *name, struct str wanted, struct err *err)
{
	AUTO_BUF value = BUF_INIT(TEXT_MAX);
	int found = api_query_get(query, str_from(name), &value, err);
	if (found < 0)
		return wrap(err, "reading the address that the daemon made");
	if (found == 0 || !str_eq(buf_str(&value), wanted))
		return fail(err, ERR_PROTOCOL, "the address that the daemon made has another '%s' than was asked for",
			    name);
	return 0;
}

int oauth_check_address(struct str address, struct str endpoint, struct str challenge, struct str redirect_uri,
			struct err *err)
{
	struct str rest = str_slice(address, endpoint.n, address.n);
	char between = str_find_char(endpoint, '?') == STR_NPOS ? '?' : '&';
	struct str query;
	(void)str_cut(str_slice(rest, 1, rest.n), '#', &query);
	bool web = str_starts(address, S("https://")) || str_starts(address, S("http://"));
	if (endpoint.n == 0 || !web || !str_starts(address, endpoint) || rest.n == 0 || rest.p[0] != between)
		return fail(err, ERR_PROTOCOL, "the address that the daemon made is not at the connector's endpoint");
	if (check_parameter(query, "code_challenge", challenge, err) < 0 ||
	    check_parameter(query, "code_challenge_method", S("S256"), err) < 0)
		return -1;
	return check_parameter(query, "redirect_uri", redirect_uri, err);
}

static struct secret *make_verifier(struct buf *ret_challenge, struct err *err)
{
	unsigned char bytes[VERIFIER_BYTES], digest[SHA256_SIZE];
	AUTO_BUF text = BUF_INIT_SECRET(VERIFIER_CHARS + 1);
	rand_bytes(bytes, sizeof bytes);
	base64_encode(&text, str_of(bytes, sizeof bytes), BASE64_URL_NOPAD);
	mem_wipe(bytes, sizeof bytes);
	sha256(buf_str(&text), digest);
	base64_encode(ret_challenge, str_of(digest, sizeof digest), BASE64_URL_NOPAD);
	return secret_from(buf_str(&text), err);
}

static void send_to_browser(struct cli *cli, struct str address)
{
	static struct err why;
	err_clear(&why);
	if (!verb_switch(cli->line, "no-browser") && browser_open(cli, address, &why) == 0)
		print_note("the browser goes to %.*s", STR_FMT(address));
	else
		print_note("open this address in a browser on this machine: %.*s", STR_FMT(address));
}

static int put_finish(struct buf *body, struct str session_id, struct str query, struct err *err)
{
	AUTO_BUF error = BUF_INIT(TEXT_MAX);
	AUTO_BUF about = BUF_INIT(TEXT_MAX);
	AUTO_BUF code = BUF_INIT(TEXT_MAX);
	AUTO_BUF state = BUF_INIT(TEXT_MAX);
	struct json_writer w;
	if (api_query_get(query, S("error"), &error, err) < 0 ||
	    api_query_get(query, S("error_description"), &about, err) < 0 ||
	    api_query_get(query, S("code"), &code, err) < 0 || api_query_get(query, S("state"), &state, err) < 0)
		return wrap(err, "reading what the browser came back with");
	if (error.n > 0)
		return fail(err, ERR_TOKEN_EXCHANGE_FAILED, "the authorization server said '%s'%s%s", error.p,
			    about.n > 0 ? ": " : "", about.p);
	if (code.n == 0)
		return fail(err, ERR_TOKEN_EXCHANGE_FAILED,
			    "the browser came back without a code from the authorization server; begin again");
	jsonw_init(&w, body, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_str(&w, "session_id", session_id);
	member_str(&w, "code", buf_str(&code));
	member_str(&w, "state", buf_str(&state));
	jsonw_end_object(&w);
	return buf_check(body, "the request", err);
}

static int finish(struct cli *cli, struct str session_id, struct str query, struct json **ret, struct err *err)
{
	AUTO_BUF body = BUF_INIT(4 * TEXT_MAX);
	if (put_finish(&body, session_id, query, err) < 0)
		return -1;
	const struct client_request request = {
		.operation = OP_OAUTH_FINISH,
		.body = buf_str(&body),
		.timeout_ms = FINISH_MS,
	};
	return cli_call(cli, &request, ret, err);
}

static int bind_by_browser(struct cli *cli, const struct oauth_wish *wish, struct json **ret, struct err *err)
{
	AUTO_BUF challenge = BUF_INIT(VERIFIER_CHARS + 1);
	AUTO_BUF query = BUF_INIT(TEXT_MAX);
	AUTO(json) *answer = NULL;
	AUTO(redirect) *redirect = redirect_new(err);
	if (redirect == NULL)
		return -1;
	AUTO(secret) *verifier = make_verifier(&challenge, err);
	if (verifier == NULL)
		return -1;
	const struct beginning beginning = {
		.wish = wish,
		.challenge = buf_str(&challenge),
		.redirect_uri = str_from(redirect_uri(redirect)),
	};
	const struct sealed_field proof = {SEALED_VERIFIER, secret_borrow(verifier)};
	if (begin(cli, &beginning, proof, &answer, err) < 0)
		return -1;
	struct str address = cli_str(answer, "authorize_url");
	if (oauth_check_address(address, wish->consent.authorize_url, beginning.challenge, beginning.redirect_uri,
				err) < 0)
		return -1;
	send_to_browser(cli, address);
	if (redirect_wait(redirect, REDIRECT_WAIT_MS, &query, err) < 0)
		return -1;
	int rc = finish(cli, cli_str(answer, "session_id"), buf_str(&query), ret, err);
	redirect_answer(redirect, rc == 0);
	return rc;
}

/* ------------------------------------------------------------------------------------------------------ with a device code */

static void sleep_seconds(int64_t seconds)
{
	struct timespec left = {.tv_sec = seconds};
	nanosleep(&left, NULL);
}

static int poll_once(struct cli *cli, struct str session_id, struct json **ret, struct err *err)
{
	AUTO_BUF body = BUF_INIT(TEXT_MAX);
	struct json_writer w;
	jsonw_init(&w, &body, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_str(&w, "session_id", session_id);
	jsonw_end_object(&w);
	const struct client_request request = {
		.operation = OP_OAUTH_POLL,
		.body = buf_str(&body),
		.timeout_ms = FINISH_MS,
	};
	return cli_call(cli, &request, ret, err);
}

/* The binding, out of an answer that holds more. */
static struct json *binding_of(const struct json *answer, struct err *err)
{
	AUTO_BUF text = BUF_INIT(TEXT_MAX);
	struct json_writer w;
	jsonw_init(&w, &text, JSON_WRITER_PLAIN);
	jsonw_value(&w, json_member(answer, S("binding")));
	return json_parse(buf_str(&text), JSON_READ_STRICT, err);
}

static int poll_until_done(struct cli *cli, const struct json *began, struct json **ret, struct err *err)
{
	int64_t interval = MAX(cli_int(began, "interval"), 1), lifetime = cli_int(began, "expires_in");
	uint64_t end = clock_monotonic_ns(NULL) + (uint64_t)(lifetime > 0 ? lifetime : 900) * TIME_SECOND;
	while (clock_monotonic_ns(NULL) < end) {
		AUTO(json) *answer = NULL;
		sleep_seconds(MIN(interval, INTERVAL_MAX_S));
		if (poll_once(cli, cli_str(began, "session_id"), &answer, err) < 0)
			return -1;
		if (str_eq(cli_str(answer, "status"), S("complete"))) {
			*ret = binding_of(answer, err);
			return *ret != NULL ? 0 : -1;
		}
		if (cli_int(answer, "interval") > 0)
			interval = cli_int(answer, "interval");
	}
	return fail(err, ERR_APPROVAL_TIMEOUT, "nobody typed the code in time");
}

static int bind_by_device(struct cli *cli, const struct oauth_wish *wish, struct json **ret, struct err *err)
{
	AUTO_PASSPHRASE proof = {.bytes = NULL};
	AUTO(json) *began = NULL;
	const struct beginning beginning = {.wish = wish};
	if (passphrase_need(cli, &passphrase_present, &proof, err) < 0 ||
	    begin(cli, &beginning, passphrase_field(&proof), &began, err) < 0)
		return -1;
	struct str complete = cli_str(began, "verification_uri_complete");
	if (complete.n > 0)
		print_note("open %.*s on any device, and see that it shows the code %.*s", STR_FMT(complete),
			   STR_FMT(cli_str(began, "user_code")));
	else
		print_note("open %.*s on any device, and type the code %.*s",
			   STR_FMT(cli_str(began, "verification_uri")), STR_FMT(cli_str(began, "user_code")));
	return poll_until_done(cli, began, ret, err);
}

int oauth_bind(struct cli *cli, const struct oauth_wish *wish, struct json **ret, struct err *err)
{
	bool device = verb_switch(cli->line, "device");
	if (device && wish->consent.device_authorization_url.n == 0)
		return fail(err, ERR_USAGE, "the connector names no address for device codes");
	if (device || wish->consent.authorize_url.n == 0)
		return bind_by_device(cli, wish, ret, err);
	return bind_by_browser(cli, wish, ret, err);
}
