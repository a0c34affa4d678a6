#include "cli/approving.h"
#include "base/limits.h"
#include "base/time.h"
#include "cli/card.h"
#include "cli/passphrase.h"
#include "cli/sealing.h"
#include "cli/unlock.h"
#include "crypto/digest.h"
#include "text/jcs.h"
#include "text/json_members.h"

int approving_get(struct cli *cli, struct str id, struct json **ret, struct err *err)
{
	const struct client_request request = {.operation = OP_APPROVAL_SHOW, .parameters = {id}};
	return cli_call(cli, &request, ret, err);
}

void approving_show(struct cli *cli, struct printer *out, const struct json *pending, bool full)
{
	const struct card_view view = {.full = full, .now_ns = clock_wall_ns(NULL)};
	card_print(cli, out, pending, &view);
}

void approving_show_edited(struct printer *out, const struct approving *approving)
{
	if (approving->edited != NULL)
		card_print_arguments(out, "Instead, as you changed them", approving->edited, true);
	print_text(out, "\n");
}

/* ----------------------------------------------------------------------------------------------------------- a decision */

struct decision {
	const struct json *pending;
	const struct approving *approving;
};

static void put_body(struct json_writer *w, struct str sealed, const void *user)
{
	const struct decision *decision = user;
	const struct approving *approving = decision->approving;
	member_bool(w, "approved", approving->approved);
	member_str_given(w, "reason", approving->reason);
	if (approving->edited != NULL) {
		jsonw_key(w, S("edited_payload"));
		jsonw_value(w, approving->edited);
	}
	if (approving->grant)
		member_bool(w, "grant", true);
	member_str_given(w, "sealed", sealed);
}

/* As the daemon makes them of what it is told; it is they that the passphrase is sealed with. */
static int put_terms(struct buf *out, const struct decision *decision, struct err *err)
{
	const struct approving *approving = decision->approving;
	char digits[SHA256_HEX_TEXT_SIZE];
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_bool(&w, "approved", approving->approved);
	member_str(&w, "digest", cli_str(decision->pending, "digest"));
	if (approving->edited != NULL) {
		AUTO_BUF text = BUF_INIT(LIMIT_INPUT);
		if (jcs_write(&text, approving->edited, JCS_STRICT, err) < 0)
			return -1;
		member_z(&w, "edited", sha256_hex(buf_str(&text), digits));
	}
	member_bool(&w, "grant", approving->grant);
	jsonw_end_object(&w);
	return buf_check(out, "the terms of the decision", err);
}

static struct client_request request_of(const struct decision *decision)
{
	return (struct client_request){
		.operation = OP_APPROVAL_DECIDE,
		.parameters = {cli_str(decision->pending, "id")},
	};
}

static int decide_plain(struct cli *cli, const struct decision *decision, struct err *err)
{
	AUTO_BUF body = BUF_INIT(2 * LIMIT_INPUT);
	struct client_request request = request_of(decision);
	struct json_writer w;
	jsonw_init(&w, &body, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	put_body(&w, STR_EMPTY, decision);
	jsonw_end_object(&w);
	request.body = buf_str(&body);
	return buf_check(&body, "the decision", err) < 0 ? -1 : cli_call(cli, &request, NULL, err);
}

static int decide_sealed(struct cli *cli, const struct decision *decision, struct err *err)
{
	AUTO_PASSPHRASE passphrase = {.bytes = NULL};
	AUTO_BUF terms = BUF_INIT(4 * KIB);
	if (put_terms(&terms, decision, err) < 0 || passphrase_need(cli, &passphrase_present, &passphrase, err) < 0)
		return -1;
	const struct sealed_request request = {
		.request = request_of(decision),
		.sealing = {.operation = KEEPER_OP_DECIDE,
			    .path = cli_str(decision->pending, "id"),
			    .metadata = buf_str(&terms),
			    .fields = {passphrase_field(&passphrase)},
			    .n_fields = 1},
		.body = put_body,
		.user = decision,
	};
	return sealing_call(cli, &request, NULL, err);
}

static int decide(struct cli *cli, const struct decision *decision, struct err *err)
{
	bool sealed = decision->approving->approved && str_eq(cli_str(decision->pending, "confirm"), S("passphrase"));
	return sealed ? decide_sealed(cli, decision, err) : decide_plain(cli, decision, err);
}

int approving_decide(struct cli *cli, const struct json *pending, const struct approving *approving, struct err *err)
{
	static struct err first;
	const struct decision decision = {pending, approving};
	if (approving->approved && cli_bool(pending, "vault_locked") && unlock_before_verb(cli, err) < 0)
		return -1;
	err_clear(&first);
	if (decide(cli, &decision, &first) == 0)
		return 0;
	/* It was locked in between: it still waits. */
	if (first.class == ERR_VAULT_LOCKED)
		return unlock_before_verb(cli, err) < 0 ? -1 : decide(cli, &decision, err);
	if (err != NULL)
		*err = first;
	return -1;
}
