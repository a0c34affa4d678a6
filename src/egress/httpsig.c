#include "egress/httpsig.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/mem.h"
#include "crypto/digest.h"
#include "text/percent.h"

/* More than any message that a request may be: 64 components of header size, a URL in several spellings. */
enum { BASE_MAX = 8 << 20 };

/* A covered component: its name without quotes, in lower case, and the `name` parameter of @query-param. */
struct component {
	struct str name;
	bool has_parameter;
	struct str parameter;
};

static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* RFC 9110 5.6.2, in lower case. */
static bool is_token_char(char c)
{
	return is_lower_or_digit(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_field_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!is_token_char(s.p[i]))
			return false;
	}
	return s.n > 0;
}

/* sf-key of RFC 8941 3.1.2, for labels. */
static bool is_key(struct str s)
{
	if (s.n == 0 || !((s.p[0] >= 'a' && s.p[0] <= 'z') || s.p[0] == '*'))
		return false;
	for (size_t i = 1; i < s.n; i++) {
		char c = s.p[i];
		if (!is_lower_or_digit(c) && c != '_' && c != '-' && c != '.' && c != '*')
			return false;
	}
	return true;
}

/* sf-string of RFC 8941 3.3.3: printable ASCII. */
static bool is_string(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	}
	return true;
}

static void add_string(struct buf *out, struct str s)
{
	buf_add_char(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, s.p[i]);
	}
	buf_add_char(out, '"');
}

/* Takes a quoted string from the front of *rest; false when there is none. */
static bool take_string(struct arena *arena, struct str *rest, struct str *ret)
{
	if (rest->n == 0 || rest->p[0] != '"')
		return false;
	char *text = arena_alloc(arena, rest->n);
	size_t n = 0;
	for (size_t i = 1; i < rest->n; i++) {
		char c = rest->p[i];
		if (c == '"') {
			*ret = str_of(text, n);
			*rest = str_slice(*rest, i + 1, rest->n);
			return true;
		}
		if (c == '\\') {
			i++;
			if (i == rest->n || (rest->p[i] != '"' && rest->p[i] != '\\'))
				return false;
			c = rest->p[i];
		}
		if (c < ' ' || c > '~')
			return false;
		text[n++] = c;
	}
	return false;
}

static int refuse_component(struct str text, const char *why, struct err *err)
{
	return fail(err, ERR_VALIDATION_ERROR, "component '%.*s' %s", STR_FMT(str_slice(text, 0, 200)), why);
}

/* The parameters behind a component's name: `name` of @query-param, nothing else. */
static int parse_parameter(struct arena *arena, struct str text, struct str rest, struct component *component,
			   struct err *err)
{
	bool wants = str_eq(component->name, S("@query-param"));
	if (str_starts(rest, S(";name="))) {
		rest = str_slice(rest, sizeof ";name=" - 1, rest.n);
		if (!take_string(arena, &rest, &component->parameter))
			return refuse_component(text, "has a malformed parameter", err);
		component->has_parameter = true;
	}
	if (rest.n > 0)
		return refuse_component(text, "has a parameter that is not supported", err);
	if (wants && !component->has_parameter)
		return refuse_component(text, "needs the parameter 'name'", err);
	if (!wants && component->has_parameter)
		return refuse_component(text, "cannot have the parameter 'name'", err);
	return 0;
}

static struct str lower(struct arena *arena, struct str s)
{
	char *copy = arena_alloc(arena, s.n + 1);
	for (size_t i = 0; i < s.n; i++)
		copy[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] - 'A' + 'a' : s.p[i]);
	return str_of(copy, s.n);
}

static int parse_component(struct arena *arena, struct str text, struct component *ret, struct err *err)
{
	struct component component = {.name = STR_EMPTY};
	struct str rest = str_trim(text);
	if (rest.n > 0 && rest.p[0] == '"') {
		if (!take_string(arena, &rest, &component.name))
			return refuse_component(text, "is malformed", err);
	} else {
		size_t end = str_find_char(rest, ';');
		component.name = str_slice(rest, 0, end);
		rest = end == STR_NPOS ? STR_EMPTY : str_slice(rest, end, rest.n);
	}
	component.name = lower(arena, component.name);
	bool derived = component.name.n > 0 && component.name.p[0] == '@';
	if (!is_field_name(derived ? str_slice(component.name, 1, component.name.n) : component.name))
		return refuse_component(text, "is neither a header's name nor a derived component", err);
	if (parse_parameter(arena, text, rest, &component, err) < 0)
		return -1;
	*ret = component;
	return 0;
}

static void add_identifier(struct buf *out, const struct component *component)
{
	add_string(out, component->name);
	if (component->has_parameter) {
		buf_add_z(out, ";name=");
		add_string(out, component->parameter);
	}
}

/* One name or value of a query, decoded as a form and encoded again (RFC 9421 2.2.8). */
static void add_form_text(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		int byte = percent_at(s, i);
		char plain = s.p[i] == '+' ? ' ' : s.p[i];
		percent_put(out, PERCENT_FORM, byte >= 0 ? (char)byte : plain);
		i += byte >= 0 ? 2 : 0;
	}
}

/* The value of the parameter whose encoded name is `wanted`; it must be there exactly once. */
static int add_query_param(struct buf *out, const struct url *url, struct str wanted, struct err *err)
{
	struct str query = url->query, found = STR_EMPTY;
	size_t times = 0;
	AUTO_BUF encoded = BUF_INIT(BASE_MAX);
	while (query.n > 0) {
		struct str part, name;
		query = str_cut(query, '&', &part);
		if (part.n == 0)
			continue;
		struct str value = str_cut(part, '=', &name);
		buf_clear(&encoded);
		add_form_text(&encoded, name);
		if (str_eq(buf_str(&encoded), wanted)) {
			found = value;
			times++;
		}
	}
	if (times != 1)
		return refuse_component(wanted, times == 0 ? "is not in the query" : "is in the query more than once",
					err);
	add_form_text(out, found);
	return 0;
}

/* The derived components of a request, but for @query-param. */
static struct str derived_method(struct arena *arena, const struct message *message)
{
	(void)arena;
	return message->method;
}
static struct str derived_target_uri(struct arena *arena, const struct message *message)
{
	return url_text(arena, message->url);
}
static struct str derived_authority(struct arena *arena, const struct message *message)
{
	return lower(arena, url_host_header(arena, message->url));
}
static struct str derived_scheme(struct arena *arena, const struct message *message)
{
	(void)arena;
	return message->url->scheme;
}
static struct str derived_path(struct arena *arena, const struct message *message)
{
	(void)arena;
	return message->url->path.n > 0 ? message->url->path : S("/");
}
static struct str derived_query(struct arena *arena, const struct message *message)
{
	return arena_printf(arena, "?%.*s", STR_FMT(message->url->query));
}
static struct str derived_request_target(struct arena *arena, const struct message *message)
{
	struct str path = derived_path(arena, message);
	return arena_printf(arena, "%.*s%s%.*s", STR_FMT(path), message->url->has_query ? "?" : "",
			    STR_FMT(message->url->query));
}

static const struct {
	struct str name;
	struct str (*value)(struct arena *arena, const struct message *message);
} derived[] = {
	{S("@method"), derived_method},
	{S("@target-uri"), derived_target_uri},
	{S("@authority"), derived_authority},
	{S("@scheme"), derived_scheme},
	{S("@path"), derived_path},
	{S("@query"), derived_query},
	{S("@request-target"), derived_request_target},
};

static int add_derived(struct arena *arena, struct buf *out, const struct message *message,
		       const struct component *component, struct err *err)
{
	if (component->has_parameter)
		return add_query_param(out, message->url, component->parameter, err);
	for (size_t i = 0; i < ARRAY_LEN(derived); i++) {
		if (str_eq(component->name, derived[i].name)) {
			buf_add_str(out, derived[i].value(arena, message));
			return 0;
		}
	}
	return refuse_component(component->name, "is not a derived component of requests", err);
}

/* All lines of one field, trimmed and joined (RFC 9421 2.1). */
static int add_field(struct arena *arena, struct buf *out, const struct message *message, struct str name,
		     struct err *err)
{
	size_t found = 0;
	for (size_t i = 0; i < message->n_headers; i++) {
		if (!str_eq_fold(message->headers[i].name, name))
			continue;
		struct str value = str_trim(message->headers[i].value);
		if (str_find_char(value, '\n') != STR_NPOS || str_find_char(value, '\r') != STR_NPOS)
			return refuse_component(name, "has a line end in its value", err);
		if (found++ > 0)
			buf_add_z(out, ", ");
		buf_add_str(out, value);
	}
	if (found > 0)
		return 0;
	/* Two that are not among a message's headers because the connection writes them. */
	if (str_eq(name, S("host"))) {
		buf_add_str(out, url_host_header(arena, message->url));
		return 0;
	}
	if (str_eq(name, S("content-length")) && message->body.n > 0) {
		buf_addf(out, "%zu", message->body.n);
		return 0;
	}
	return refuse_component(name, "is not on the request", err);
}

static struct str make_content_digest(struct arena *arena, struct str body)
{
	unsigned char digest[SHA256_SIZE];
	sha256(body, digest);
	AUTO_BUF text = BUF_INIT(128);
	buf_add_z(&text, "sha-256=:");
	base64_encode(&text, str_of(digest, sizeof digest), BASE64_STANDARD);
	buf_add_char(&text, ':');
	return arena_str(arena, buf_str(&text));
}

/* One line of the base. */
static int add_line(struct arena *arena, struct buf *out, const struct message *message,
		    const struct component *component, struct httpsig_base *made, struct err *err)
{
	add_identifier(out, component);
	buf_add_z(out, ": ");
	if (component->name.p[0] == '@') {
		if (add_derived(arena, out, message, component, err) < 0)
			return -1;
	} else if (str_eq(component->name, S("content-digest")) &&
		   message_header_find(message, component->name) == NULL) {
		made->content_digest = make_content_digest(arena, message->body);
		buf_add_str(out, made->content_digest);
	} else if (add_field(arena, out, message, component->name, err) < 0) {
		return -1;
	}
	buf_add_char(out, '\n');
	return 0;
}

static int parse_components(struct arena *arena, const struct httpsig_options *options, struct component *ret,
			    struct err *err)
{
	if (options->n_components > HTTPSIG_COMPONENTS_MAX)
		return fail(err, ERR_VALIDATION_ERROR, "more than %d components are covered", HTTPSIG_COMPONENTS_MAX);
	for (size_t i = 0; i < options->n_components; i++) {
		if (parse_component(arena, options->components[i], &ret[i], err) < 0)
			return -1;
		for (size_t j = 0; j < i; j++) {
			if (str_eq(ret[i].name, ret[j].name) && str_eq(ret[i].parameter, ret[j].parameter))
				return refuse_component(options->components[i], "is covered twice", err);
		}
	}
	return 0;
}

static const char *algorithm_name(enum signing_algorithm algorithm)
{
	return algorithm == SIGNING_ED25519 ? "ed25519" : "hmac-sha256";
}

bool httpsig_algorithm_named(struct str name, enum signing_algorithm *ret)
{
	if (str_eq(name, S("ed25519")))
		*ret = SIGNING_ED25519;
	else if (str_eq(name, S("hmac-sha256")))
		*ret = SIGNING_HMAC_SHA256;
	else
		return false;
	return true;
}

/* The inner list of covered components with its parameters: the value of @signature-params. */
static int add_params(struct buf *out, const struct httpsig_options *options, const struct component *components,
		      struct err *err)
{
	buf_add_char(out, '(');
	for (size_t i = 0; i < options->n_components; i++) {
		if (i > 0)
			buf_add_char(out, ' ');
		add_identifier(out, &components[i]);
	}
	buf_add_char(out, ')');
	if (!is_string(options->key_id))
		return fail(err, ERR_VALIDATION_ERROR, "the key id is not printable ASCII");
	for (const char *parameter = options->order == NULL ? "cka" : options->order; *parameter != '\0'; parameter++) {
		if (*parameter == 'c') {
			buf_addf(out, ";created=%llu", (unsigned long long)options->created);
		} else if (*parameter == 'k' && options->key_id.n > 0) {
			buf_add_z(out, ";keyid=");
			add_string(out, options->key_id);
		} else if (*parameter == 'a') {
			buf_addf(out, ";alg=\"%s\"", algorithm_name(options->algorithm));
		}
	}
	return 0;
}

int httpsig_make_base(struct arena *arena, const struct message *message, const struct httpsig_options *options,
		      struct httpsig_base *ret, struct err *err)
{
	struct component components[HTTPSIG_COMPONENTS_MAX];
	struct httpsig_base made = {.content_digest = STR_EMPTY};
	AUTO_BUF base = BUF_INIT(BASE_MAX);
	AUTO_BUF params = BUF_INIT(BASE_MAX);
	if (parse_components(arena, options, components, err) < 0)
		return -1;
	for (size_t i = 0; i < options->n_components; i++) {
		if (add_line(arena, &base, message, &components[i], &made, err) < 0)
			return -1;
	}
	if (add_params(&params, options, components, err) < 0)
		return -1;
	buf_add_z(&base, "\"@signature-params\": ");
	buf_add_str(&base, buf_str(&params));
	if (buf_check(&params, "the list of covered components", err) < 0 ||
	    buf_check(&base, "the request to be signed", err) < 0)
		return -1;
	made.base = arena_str(arena, buf_str(&base));
	made.params = arena_str(arena, buf_str(&params));
	*ret = made;
	return 0;
}

int httpsig_sign(struct arena *arena, const struct message *message, const struct httpsig_options *options,
		 const struct signer *signer, struct httpsig_signature *ret, struct err *err)
{
	struct str label = options->label.n > 0 ? options->label : S("sig1");
	if (!is_key(label))
		return fail(err, ERR_VALIDATION_ERROR,
			    "label '%.*s' is not a key of structured fields: a-z, then a-z 0-9 _ - . *",
			    STR_FMT(str_slice(label, 0, 200)));
	struct httpsig_base made;
	if (httpsig_make_base(arena, message, options, &made, err) < 0)
		return -1;
	unsigned char bytes[SIGNATURE_MAX];
	size_t n = 0;
	if (signer->sign(signer->context, options->algorithm, made.base, bytes, &n, err) < 0)
		return -1;
	AUTO_BUF text = BUF_INIT(256);
	base64_encode(&text, str_of(bytes, n), BASE64_STANDARD);
	*ret = (struct httpsig_signature){
		.signature_input = arena_printf(arena, "%.*s=%.*s", STR_FMT(label), STR_FMT(made.params)),
		.signature = arena_printf(arena, "%.*s=:%.*s:", STR_FMT(label), STR_FMT(buf_str(&text))),
		.content_digest = made.content_digest,
	};
	return 0;
}
