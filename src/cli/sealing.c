#include "cli/sealing.h"
#include "base/base64.h"
#include "base/hex.h"
#include "daemon/state_dir.h"
#include "os/file.h"
#include "text/json_members.h"
#include <stdlib.h>

#define BODY_MAX     ((size_t)24 << 20)
#define KEY_TEXT_MAX ((size_t)256)
#define TEXT_MAX     ((size_t)64 << 10)

void sealing_body_alone(struct json_writer *w, struct str sealed, const void *user)
{
	(void)user;
	member_str(w, "sealed", sealed);
}

int sealing_bind(struct cli *cli, struct sealing *sealing, const struct binding_fields *fields,
		 const struct binding_consent *consent, struct err *err)
{
	AUTO_BUF name = BUF_INIT(TEXT_MAX);
	AUTO_BUF metadata = BUF_INIT(TEXT_MAX);
	AUTO_BUF text = BUF_INIT(TEXT_MAX);
	if (binding_name_put(&name, fields, err) < 0)
		return -1;
	binding_metadata_put(&metadata, fields);
	binding_consent_put(&text, consent);
	if (buf_check(&metadata, "the binding's metadata", err) < 0 || buf_check(&text, "the consent", err) < 0)
		return -1;
	sealing->path = arena_str(cli->arena, buf_str(&name));
	sealing->metadata = arena_str(cli->arena, buf_str(&metadata));
	sealing->fields[sealing->n_fields++] =
		(struct sealed_field){SEALED_CONSENT, arena_str(cli->arena, buf_str(&text))};
	return 0;
}

int sealing_read_key(const char *state_dir, const char *name, unsigned char ret[SEALED_PUBLIC], struct err *err)
{
	AUTO_FREE char *path = state_dir_file(state_dir, name);
	AUTO_BUF text = BUF_INIT(KEY_TEXT_MAX);
	AUTO_BUF key = BUF_INIT(SEALED_PUBLIC);
	if (file_read(path, &text, err) < 0)
		return -1;
	if (text.n == SEALED_PUBLIC)
		buf_add_str(&key, buf_str(&text));
	else if (hex_decode(&key, str_trim(buf_str(&text)), err) < 0)
		return wrap(err, "reading '%s'", path);
	if (key.n != SEALED_PUBLIC)
		return fail(err, ERR_PARSE_ERROR, "'%s' holds no public key", path);
	memcpy(ret, key.p, SEALED_PUBLIC);
	return 0;
}

static int read_keepers_key(struct cli *cli, unsigned char ret[SEALED_PUBLIC], struct err *err)
{
	static struct err why;
	err_clear(&why);
	if (sealing_read_key(cli->state_dir, "keeper.pub", ret, &why) == 0)
		return 0;
	return fail(err, why.class, "%s; run 'aileron daemon restart', which writes it anew", why.message);
}

/* A nonce for that key; SEALED_REFUSED when the daemon's is for another, which its parent is about to write. */
static int get_nonce(struct cli *cli, const unsigned char key[SEALED_PUBLIC], unsigned char ret[SEALED_NONCE],
		     struct err *err)
{
	AUTO(json) *answer = NULL;
	unsigned char id[SEALED_KEY_ID];
	char id_text[2 * SEALED_KEY_ID + 1];
	AUTO_BUF nonce = BUF_INIT(SEALED_NONCE);
	if (cli_call(cli, &(struct client_request){.operation = OP_VAULT_NONCE}, &answer, err) < 0)
		return -1;
	sealed_key_id(key, id);
	hex_format(str_of(id, sizeof id), id_text);
	if (!str_eq(cli_str(answer, "key_id"), str_from(id_text)))
		return fail(err, ERR_SEALED_REFUSED,
			    "the keeper's key is not the one in keeper.pub: does AILERON_HOME name this daemon's "
			    "folder? If it "
			    "does, run 'aileron daemon restart'");
	if (base64_decode(&nonce, cli_str(answer, "nonce"), BASE64_STANDARD, err) < 0)
		return wrap(err, "reading the keeper's nonce");
	if (nonce.n != SEALED_NONCE)
		return fail(err, ERR_PROTOCOL, "the keeper's nonce has %zu bytes", nonce.n);
	memcpy(ret, nonce.p, SEALED_NONCE);
	return 0;
}

static int seal(struct cli *cli, const struct sealing *sealing, struct buf *ret_text, struct err *err)
{
	unsigned char key[SEALED_PUBLIC], nonce[SEALED_NONCE];
	AUTO_BUF sealed = BUF_INIT(SEALED_OVERHEAD + SEALED_FIELDS_MAX);
	const struct sealed_context context = {
		.operation = str_from(keeper_operation_name(sealing->operation)),
		.path = sealing->path,
		.metadata = sealing->metadata,
	};
	if (read_keepers_key(cli, key, err) < 0 || get_nonce(cli, key, nonce, err) < 0 ||
	    sealed_make(&sealed, key, nonce, &context, sealing->fields, sealing->n_fields, err) < 0)
		return -1;
	base64_encode(ret_text, buf_str(&sealed), BASE64_STANDARD);
	return buf_check(ret_text, "the sealed message", err);
}

static int try_call(struct cli *cli, const struct sealed_request *request, struct json **ret, struct err *err)
{
	AUTO_BUF sealed = BUF_INIT(2 * SEALED_FIELDS_MAX);
	AUTO_BUF body = BUF_INIT(BODY_MAX);
	struct client_request plain = request->request;
	struct json_writer w;
	if (seal(cli, &request->sealing, &sealed, err) < 0)
		return -1;
	jsonw_init(&w, &body, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	request->body(&w, buf_str(&sealed), request->user);
	jsonw_end_object(&w);
	if (buf_check(&body, "the request", err) < 0)
		return -1;
	plain.body = buf_str(&body);
	if (plain.timeout_ms == 0)
		plain.timeout_ms = SEALING_TIMEOUT_MS;
	return cli_call(cli, &plain, ret, err);
}

int sealing_call(struct cli *cli, const struct sealed_request *request, struct json **ret, struct err *err)
{
	static struct err first;
	err_clear(&first);
	if (try_call(cli, request, ret, &first) == 0)
		return 0;
	if (first.class == ERR_SEALED_REFUSED)
		return try_call(cli, request, ret, err);
	if (err != NULL)
		*err = first;
	return -1;
}
