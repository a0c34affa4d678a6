#include "egress/inject.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/time.h"
#include "egress/httpsig.h"
#include "egress/sigv4.h"

#define KEY_PLACE "{key}"

static struct str kind_text(enum credential_kind kind)
{
	return str_from(credential_kind_name(kind));
}

static void detail_credential(struct err *err, const char *key, struct str kind)
{
	char text[128];
	snprintf(text, sizeof text, "credential:%.*s", STR_FMT(str_slice(kind, 0, 64)));
	err_detail(err, key, str_from(text));
}

static int refuse_undeclared(const struct egress_grant *grant, struct str asked, struct err *err)
{
	fail(err, ERR_CAPABILITY_DENIED,
	     "http_request: the manifest of '%.*s' declares no [capabilities.credential], so no credential is given "
	     "out",
	     STR_FMT(grant->connector));
	detail_credential(err, "requested", asked);
	err_detail(err, "connector", grant->connector);
	err_detail(err, "boundary_detail", S("connector_manifest"));
	return -1;
}

static int refuse_other_kind(const struct egress_grant *grant, struct str asked, struct err *err)
{
	fail(err, ERR_CAPABILITY_DENIED,
	     "http_request: the request asks for another kind of credential than '%s', which the manifest of '%.*s' "
	     "declares",
	     credential_kind_name(grant->declared), STR_FMT(grant->connector));
	detail_credential(err, "requested", asked);
	detail_credential(err, "declared", kind_text(grant->declared));
	err_detail(err, "connector", grant->connector);
	err_detail(err, "boundary_detail", S("connector_manifest"));
	return -1;
}

/* Completes a BINDING_REQUIRED that fail() began. */
static int binding_required(const struct egress_grant *grant, struct err *err)
{
	err_set_boundary(err, BOUNDARY_SANDBOX);
	err_detail(err, "connector", grant->connector);
	err_detail(err, "capability_kind", kind_text(grant->declared));
	err_detail(err, "boundary_detail", S("action"));
	return -1;
}

static int refuse_bound_kind(const struct egress_grant *grant, struct err *err)
{
	fail(err, ERR_CAPABILITY_DENIED,
	     "http_request: the credential bound for '%.*s' is of kind '%s', but '%s' is declared; bind one of that "
	     "kind",
	     STR_FMT(grant->connector), credential_kind_name(grant->bound), credential_kind_name(grant->declared));
	err_detail(err, "connector", grant->connector);
	err_detail(err, "capability_kind", kind_text(grant->declared));
	err_detail(err, "boundary_detail", S("vault"));
	return -1;
}

static int check_binding(const struct egress_grant *grant, struct err *err)
{
	switch (grant->binding) {
	case BINDING_NO_RESOLVER:
		fail(err, ERR_BINDING_REQUIRED,
		     "http_request: '%.*s' needs a credential of kind '%s' and none can be looked up; "
		     "run `aileron binding setup` for it",
		     STR_FMT(grant->connector), credential_kind_name(grant->declared));
		return binding_required(grant, err);
	case BINDING_MISSING:
		if (grant->binding_error.n > 0)
			fail(err, ERR_BINDING_REQUIRED, "%.*s", STR_FMT(grant->binding_error));
		else
			fail(err, ERR_BINDING_REQUIRED, "credential: no binding for this capability");
		return binding_required(grant, err);
	case BINDING_FAILED:
		fail(err, ERR_CONNECTOR_RUNTIME_ERROR, "http_request: resolve credential: %.*s",
		     STR_FMT(grant->binding_error));
		err_detail(err, "connector", grant->connector);
		return -1;
	case BINDING_PERMIT:
	case BINDING_FOUND:
		return grant->bound == grant->declared ? 0 : refuse_bound_kind(grant, err);
	case BINDING__MAX:
		break;
	}
	BUG("binding state %d does not exist", (int)grant->binding);
}

int inject_check(const struct egress_grant *grant, struct str asked, struct err *err)
{
	if (grant->declared == CREDENTIAL_NONE)
		return refuse_undeclared(grant, asked, err);
	if (!str_eq(asked, kind_text(grant->declared)))
		return refuse_other_kind(grant, asked, err);
	return check_binding(grant, err);
}

void injection_release(struct injection *injection)
{
	for (size_t i = 0; i < injection->n; i++)
		secret_free(injection->headers[i].secret);
	*injection = (struct injection){.n = 0};
}

static void put_secret(struct injection *injection, struct str name, struct secret *value)
{
	injection->headers[injection->n++] = (struct injected_header){.name = name, .secret = value};
}

static void put_plain(struct injection *injection, struct str name, struct str value)
{
	injection->headers[injection->n++] = (struct injected_header){.name = name, .plain = value};
}

static void put_signed(struct injection *injection, struct str name, struct str value, struct str signature)
{
	put_plain(injection, name, value);
	injection->headers[injection->n - 1].signature = signature;
}

static int refuse_secret(const struct egress_grant *grant, const char *why, struct err *err)
{
	fail(err, ERR_BINDING_FAILED, "http_request: the credential bound for '%.*s' %s; bind it again",
	     STR_FMT(grant->connector), why);
	err_set_boundary(err, BOUNDARY_SANDBOX);
	err_detail(err, "connector", grant->connector);
	err_detail(err, "capability_kind", kind_text(grant->declared));
	return -1;
}

/* What a header's value may be made of (RFC 9110 5.5); a line end here would be a header of the secret's making. */
static bool fits_header(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static int check_secret(const struct egress_grant *grant, struct err *err)
{
	if (grant->secret == NULL || secret_size(grant->secret) == 0)
		return refuse_secret(grant, "is empty", err);
	if (!fits_header(secret_borrow(grant->secret)))
		return refuse_secret(grant, "has a line end or another control character in it", err);
	return 0;
}

/* The template with the secret in every place for it. */
static struct secret *fill_template(struct str template, const struct secret *secret, struct err *err)
{
	struct str key = secret_borrow(secret);
	size_t places = 0;
	for (struct str rest = template; rest.n > 0; places++) {
		size_t at = str_find(rest, S(KEY_PLACE));
		if (at == STR_NPOS)
			break;
		rest = str_slice(rest, at + sizeof KEY_PLACE - 1, rest.n);
	}
	size_t around = template.n - places * (sizeof KEY_PLACE - 1);
	if (places > SECRET_MAX / key.n || around > SECRET_MAX) {
		fail(err, ERR_BINDING_FAILED, "http_request: the credential's header would be larger than %zu bytes",
		     SECRET_MAX);
		return NULL;
	}
	struct secret *value = secret_new(around + places * key.n, err);
	if (value == NULL)
		return NULL;
	char *out = secret_borrow_mut(value);
	for (; places > 0; places--) {
		size_t at = str_find(template, S(KEY_PLACE));
		if (at > 0)
			memcpy(out, template.p, at);
		memcpy(out + at, key.p, key.n);
		out += at + key.n;
		template = str_slice(template, at + sizeof KEY_PLACE - 1, template.n);
	}
	if (template.n > 0)
		memcpy(out, template.p, template.n);
	return value;
}

static int inject_template(const struct egress_grant *grant, struct str header, struct str template,
			   struct injection *ret, struct err *err)
{
	if (check_secret(grant, err) < 0)
		return -1;
	struct secret *value = fill_template(template, grant->secret, err);
	if (value == NULL)
		return -1;
	put_secret(ret, header, value);
	return 0;
}

static int missing_field(const struct egress_grant *grant, const char *field, const char *what, struct err *err)
{
	fail(err, ERR_BINDING_REQUIRED,
	     "http_request: the credential for '%.*s' has no %s; give `%s` in the binding or in the manifest's "
	     "[capabilities.credential]",
	     STR_FMT(grant->connector), what, field);
	err_detail(err, "field", str_from(field));
	return binding_required(grant, err);
}

/*
 * "Basic " and base64(username ":" password), encoded in two pieces of which the first is a multiple of three bytes long,
 * so that name and password need not stand together anywhere. What is written on the way is wiped.
 */
static struct secret *make_basic(struct str username, const struct secret *password, struct err *err)
{
	struct str word = secret_borrow(password);
	if (username.n > SECRET_MAX || base64_size(username.n + 1 + word.n, BASE64_STANDARD) > SECRET_MAX - 6) {
		fail(err, ERR_BINDING_FAILED, "http_request: the credential's header would be larger than %zu bytes",
		     SECRET_MAX);
		return NULL;
	}
	size_t filling = MIN(word.n, (3 - (username.n + 1) % 3) % 3);
	AUTO_BUF head = BUF_INIT_SECRET(SECRET_MAX);
	buf_add_str(&head, username);
	buf_add_char(&head, ':');
	buf_add_str(&head, str_slice(word, 0, filling));
	AUTO_BUF text = BUF_INIT_SECRET(SECRET_MAX);
	buf_add_z(&text, "Basic ");
	base64_encode(&text, buf_str(&head), BASE64_STANDARD);
	base64_encode(&text, str_slice(word, filling, word.n), BASE64_STANDARD);
	if (buf_check(&text, "a credential's header", err) < 0)
		return NULL;
	return secret_from(buf_str(&text), err);
}

static int inject_basic(const struct egress_grant *grant, struct injection *ret, struct err *err)
{
	if (grant->username.n == 0)
		return missing_field(grant, "username", "user name", err);
	if (str_find_char(grant->username, ':') != STR_NPOS || !fits_header(grant->username))
		return refuse_secret(grant, "has a user name with a colon or a control character", err);
	if (check_secret(grant, err) < 0)
		return -1;
	struct secret *value = make_basic(grant->username, grant->secret, err);
	if (value == NULL)
		return -1;
	put_secret(ret, S("Authorization"), value);
	return 0;
}

/* What a signing scheme says, as the guest may see it: a message it cannot sign is the connector's fault. */
static int translate_signing(const struct egress_grant *grant, struct err *err)
{
	if (err == NULL)
		return -1;
	if (err->class == ERR_VALIDATION_ERROR || err->class == ERR_LIMIT)
		fail(err, ERR_CONNECTOR_RUNTIME_ERROR, "%s", err->message);
	err_set_boundary(err, BOUNDARY_SANDBOX);
	err_detail(err, "connector", grant->connector);
	return wrap(err, "http_request");
}

static int inject_sigv4(struct arena *arena, const struct egress_grant *grant, const struct message *message,
			const struct inject_options *options, struct injection *ret, struct err *err)
{
	struct sigv4_options sigv4 = {
		.access_key_id = grant->bound_access_key_id.n > 0 ? grant->bound_access_key_id : grant->access_key_id,
		.fallback_region = grant->bound_region.n > 0 ? grant->bound_region : grant->region,
		.fallback_service = grant->service,
		.now = options->now,
	};
	if (sigv4.access_key_id.n == 0)
		return missing_field(grant, "access_key_id", "access key id", err);
	if (!fits_header(sigv4.access_key_id))
		return refuse_secret(grant, "has an access key id with a control character", err);
	struct sigv4_signature signature;
	if (sigv4_sign(arena, message, &sigv4, options->signer, &signature, err) < 0)
		return translate_signing(grant, err);
	put_plain(ret, S("X-Amz-Date"), signature.date);
	put_plain(ret, S("X-Amz-Content-Sha256"), signature.payload_hash);
	struct str all = signature.authorization; /* "…, Signature=" and hex */
	put_signed(ret, S("Authorization"), all, str_slice(all, all.n - 2 * SHA256_SIZE, all.n));
	return 0;
}

static int inject_signature(struct arena *arena, const struct egress_grant *grant, const struct message *message,
			    const struct inject_options *options, struct injection *ret, struct err *err)
{
	struct httpsig_options httpsig = {
		.label = grant->label,
		.components = grant->components,
		.n_components = grant->n_components,
		.key_id = grant->key_id,
		.created = options->now / TIME_SECOND,
	};
	if (!httpsig_algorithm_named(grant->algorithm, &httpsig.algorithm)) {
		fail(err, ERR_VALIDATION_ERROR, "algorithm '%.*s' is neither ed25519 nor hmac-sha256",
		     STR_FMT(grant->algorithm));
		return translate_signing(grant, err);
	}
	struct httpsig_signature signature;
	if (httpsig_sign(arena, message, &httpsig, options->signer, &signature, err) < 0)
		return translate_signing(grant, err);
	if (signature.content_digest.n > 0)
		put_plain(ret, S("Content-Digest"), signature.content_digest);
	put_plain(ret, S("Signature-Input"), signature.signature_input);
	struct str all = signature.signature; /* "label=:base64:" */
	put_signed(ret, S("Signature"), all, str_slice(all, str_find(all, S("=:")) + 2, all.n - 1));
	return 0;
}

static int inject_signed(struct arena *arena, const struct egress_grant *grant, const struct message *message,
			 const struct inject_options *options, struct injection *ret, struct err *err)
{
	struct inject_options complete = *options;
	AUTO(held_key) *held_key = NULL;
	struct signer signer;
	if (complete.signer == NULL) {
		if (grant->secret == NULL || secret_size(grant->secret) == 0)
			return refuse_secret(grant, "is empty", err);
		held_key = held_key_new(grant->secret);
		signer = held_key_signer(held_key);
		complete.signer = &signer;
	}
	if (grant->bound == CREDENTIAL_AWS_SIGV4)
		return inject_sigv4(arena, grant, message, &complete, ret, err);
	return inject_signature(arena, grant, message, &complete, ret, err);
}

static int refuse_kind(const struct egress_grant *grant, struct err *err)
{
	fail(err, ERR_CAPABILITY_DENIED, "http_request: a credential of kind '%s' cannot be put on a request",
	     credential_kind_name(grant->bound));
	err_detail(err, "connector", grant->connector);
	err_detail(err, "boundary_detail", S("runtime"));
	return -1;
}

int inject_apply(struct arena *arena, const struct egress_grant *grant, const struct message *message,
		 const struct inject_options *options, struct injection *ret, struct err *err)
{
	struct injection made = {.n = 0};
	int result;
	switch (grant->bound) {
	case CREDENTIAL_OAUTH2:
		result = inject_template(grant, S("Authorization"), S("Bearer " KEY_PLACE), &made, err);
		break;
	case CREDENTIAL_API_KEY:
		result = inject_template(grant, grant->header.n > 0 ? grant->header : S("Authorization"),
					 grant->format.n > 0 ? grant->format : S("Bearer " KEY_PLACE), &made, err);
		break;
	case CREDENTIAL_BASIC:
		result = inject_basic(grant, &made, err);
		break;
	case CREDENTIAL_AWS_SIGV4:
	case CREDENTIAL_SIGNING_KEY:
		result = inject_signed(arena, grant, message, options, &made, err);
		break;
	case CREDENTIAL_NONE:
	case CREDENTIAL__MAX:
	default:
		result = refuse_kind(grant, err);
		break;
	}
	if (result < 0)
		return -1;
	*ret = made;
	return 0;
}
