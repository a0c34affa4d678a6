#include "artifact/manifest_rules.h"
#include "base/buf.h"

#define TABLE "capabilities.credential"

/*
 * Each field belongs to one kind and is refused elsewhere, when it is not empty; `service` and what goes with it the
 * original bears in its own kinds, so these do here.
 */
enum { TOLERATED = 1 << CREDENTIAL_API_KEY | 1 << CREDENTIAL_OAUTH2 };

static const struct credential_field {
	const char *key;
	size_t offset;
	bool is_list;
	enum credential_kind owner;
	unsigned tolerated;
} fields[] = {
	{"header", offsetof(struct manifest_credential, header), false, CREDENTIAL_API_KEY, 0},
	{"format", offsetof(struct manifest_credential, format), false, CREDENTIAL_API_KEY, 0},
	{"service", offsetof(struct manifest_credential, service), false, CREDENTIAL_AWS_SIGV4, TOLERATED},
	{"region", offsetof(struct manifest_credential, region), false, CREDENTIAL_AWS_SIGV4, TOLERATED},
	{"access_key_id", offsetof(struct manifest_credential, access_key_id), false, CREDENTIAL_AWS_SIGV4, TOLERATED},
	{"username", offsetof(struct manifest_credential, username), false, CREDENTIAL_BASIC, 0},
	{"algorithm", offsetof(struct manifest_credential, algorithm), false, CREDENTIAL_SIGNING_KEY, 0},
	{"key_id", offsetof(struct manifest_credential, key_id), false, CREDENTIAL_SIGNING_KEY, 0},
	{"label", offsetof(struct manifest_credential, label), false, CREDENTIAL_SIGNING_KEY, 0},
	{"components", offsetof(struct manifest_credential, components), true, CREDENTIAL_SIGNING_KEY, 0},
};

static bool is_given(const struct manifest_credential *credential, const struct credential_field *field)
{
	const void *at = (const char *)credential + field->offset;
	return field->is_list ? ((const struct str_list *)at)->items != NULL : ((const struct str *)at)->n > 0;
}

static const struct toml_value *place_of(const struct rules *rules, const char *key)
{
	const struct toml_value *table = place(rules, TABLE);
	const struct toml_value *value = toml_member(table, str_from(key));
	return value != NULL ? value : table;
}

static int check_foreign_fields(const struct rules *rules)
{
	const struct manifest_credential *credential = &rules->manifest->credential;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const struct credential_field *field = &fields[i];
		bool permitted = field->owner == credential->kind || (field->tolerated & 1U << credential->kind) != 0;
		if (!permitted && is_given(credential, field))
			return broken(rules, place_of(rules, field->key),
				      "'" TABLE ".%s' is for kind '%s' only, not '%s'", field->key,
				      credential_kind_name(field->owner), credential_kind_name(credential->kind));
	}
	return 0;
}

static int check_no_oauth2(const struct rules *rules)
{
	if (!rules->manifest->credential.oauth2.present)
		return 0;
	return broken(rules, place_of(rules, "oauth2"), "'" TABLE ".oauth2' must be absent for kind '%s'",
		      credential_kind_name(rules->manifest->credential.kind));
}

static bool has_newline(struct str s)
{
	return str_find_char(s, '\r') != STR_NPOS || str_find_char(s, '\n') != STR_NPOS;
}

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (is_control(s.p[i]))
			return true;
	}
	return false;
}

/* RFC 7230, 3.2.6. */
static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool letter = is_lower(c) || (c >= 'A' && c <= 'Z');
		if (!letter && !is_digit(c) && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
			return false;
	}
	return s.n > 0;
}

/* ---- api_key ---- */

/* Fields that decide where a message goes and where it ends (RFC 9110 7.6.1, 7.2, 10.1.1): the transport's own. */
static bool is_transport_header(struct str name)
{
	static const struct str names[] = {
		{"Host", 4},        {"Content-Length", 14}, {"Transfer-Encoding", 17},
		{"Connection", 10}, {"Expect", 6},          {"TE", 2},
		{"Trailer", 7},     {"Upgrade", 7},         {"Keep-Alive", 10},
		{"Proxy", 5},       {"HTTP2-Settings", 14},
	};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_eq_fold(name, names[i]))
			return true;
	}
	return str_eq_fold(str_slice(name, 0, 6), S("Proxy-"));
}

static int check_header(const struct rules *rules)
{
	char text[QUOTED_SIZE];
	struct str header = rules->manifest->credential.header;
	if (header.n == 0)
		return 0;
	if (str_blank(header))
		return broken(rules, place_of(rules, "header"), "'" TABLE ".header' is whitespace-only");
	if (!is_token(header))
		return broken(rules, place_of(rules, "header"),
			      "'" TABLE ".header' is '%s', which is not a valid HTTP header name",
			      quoted(header, text));
	if (is_transport_header(header))
		return broken(rules, place_of(rules, "header"),
			      "'" TABLE
			      ".header' is '%s', which is no valid HTTP header name for a key: the transport sets it",
			      quoted(header, text));
	return 0;
}

static int check_format(const struct rules *rules)
{
	char text[QUOTED_SIZE];
	struct str format = rules->manifest->credential.format;
	if (format.n == 0)
		return 0;
	if (str_find(format, S("{key}")) == STR_NPOS)
		return broken(rules, place_of(rules, "format"),
			      "'" TABLE ".format' is '%s': the placeholder {key} is missing", quoted(format, text));
	if (has_newline(format))
		return broken(rules, place_of(rules, "format"), "'" TABLE ".format' must not contain a newline");
	if (has_control(format))
		return broken(rules, place_of(rules, "format"),
			      "'" TABLE ".format' must not contain control characters");
	return 0;
}

static int check_api_key(const struct rules *rules)
{
	if (check_no_oauth2(rules) < 0 || check_foreign_fields(rules) < 0 || check_header(rules) < 0)
		return -1;
	return check_format(rules);
}

/* ---- oauth2 ---- */

/* https://…, or http:// to this machine for tests. User information could make a host look like another. */
static bool is_endpoint(struct str url)
{
	struct str https = S("https://"), http = S("http://");
	bool secure = str_starts(url, https);
	if (!secure && !str_starts(url, http))
		return false;
	struct str rest = str_slice(url, secure ? https.n : http.n, url.n);
	size_t host = 0, authority = 0;
	while (authority < rest.n && strchr("/?#", rest.p[authority]) == NULL)
		authority++;
	while (host < rest.n && rest.p[host] != ':' && rest.p[host] != '/')
		host++;
	if (str_find_char(str_slice(rest, 0, authority), '@') != STR_NPOS)
		return false;
	struct str name = str_slice(rest, 0, host);
	return secure ? name.n > 0 : str_eq(name, S("localhost")) || str_eq(name, S("127.0.0.1"));
}

static int check_endpoint(const struct rules *rules, const char *dotted_key, struct str url)
{
	char text[QUOTED_SIZE];
	if (str_blank(url))
		return broken(rules, place(rules, dotted_key), "'%s' is required", dotted_key);
	if (!is_endpoint(url))
		return broken(rules, place(rules, dotted_key),
			      "'%s' is '%s': it must be https://, or http:// on localhost or 127.0.0.1", dotted_key,
			      quoted(url, text));
	return 0;
}

static int check_scopes(const struct rules *rules)
{
	const struct str_list *scopes = &rules->manifest->credential.oauth2.scopes;
	const struct toml_value *where = place(rules, TABLE ".oauth2.scopes");
	if (scopes->n == 0)
		return broken(rules, where, "'" TABLE ".oauth2.scopes' needs at least one scope");
	for (size_t i = 0; i < scopes->n; i++) {
		if (str_blank(scopes->items[i]))
			return broken(rules, place_element(where, i), "'" TABLE ".oauth2.scopes' entry %zu is blank",
				      i + 1);
	}
	return 0;
}

static int check_oauth2(const struct rules *rules)
{
	const struct manifest_oauth2 *oauth2 = &rules->manifest->credential.oauth2;
	if (!oauth2->present)
		return broken(rules, place(rules, TABLE), "'" TABLE ".oauth2' is required for kind 'oauth2'");
	if (check_foreign_fields(rules) < 0 ||
	    check_endpoint(rules, TABLE ".oauth2.authorize_url", oauth2->authorize_url) < 0 ||
	    check_endpoint(rules, TABLE ".oauth2.token_url", oauth2->token_url) < 0)
		return -1;
	if (oauth2->device_authorization_url.n > 0 &&
	    check_endpoint(rules, TABLE ".oauth2.device_authorization_url", oauth2->device_authorization_url) < 0)
		return -1;
	if (str_blank(oauth2->client_id))
		return broken(rules, place(rules, TABLE ".oauth2.client_id"),
			      "'" TABLE ".oauth2.client_id' is required");
	return check_scopes(rules);
}

/* ---- aws_sigv4 ---- */

static int check_aws_sigv4(const struct rules *rules)
{
	const struct manifest_credential *credential = &rules->manifest->credential;
	const struct {
		const char *key;
		struct str value;
	} lines[] = {
		{"region", credential->region},
		{"service", credential->service},
		{"access_key_id", credential->access_key_id},
	};
	if (str_blank(credential->service))
		return broken(rules, place_of(rules, "service"),
			      "'" TABLE ".service' is required for kind 'aws_sigv4'");
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		if (has_newline(lines[i].value))
			return broken(rules, place_of(rules, lines[i].key), "'" TABLE ".%s' must not contain a newline",
				      lines[i].key);
	}
	return check_foreign_fields(rules) < 0 ? -1 : check_no_oauth2(rules);
}

/* ---- basic (RFC 7617, 2) ---- */

static int check_basic(const struct rules *rules)
{
	struct str username = rules->manifest->credential.username;
	if (check_foreign_fields(rules) < 0 || check_no_oauth2(rules) < 0)
		return -1;
	if (str_find_char(username, ':') != STR_NPOS)
		return broken(rules, place_of(rules, "username"), "'" TABLE ".username' must not contain ':'");
	if (has_control(username))
		return broken(rules, place_of(rules, "username"),
			      "'" TABLE ".username' must not contain control characters");
	return 0;
}

/* ---- signing_key (RFC 9421) ---- */

/* Those of section 2.2 that a request has and that take no parameter. */
static const struct str derived_components[] = {
	{"@method", 7},          {"@target-uri", 11}, {"@authority", 10}, {"@scheme", 7},
	{"@request-target", 15}, {"@path", 5},        {"@query", 6},
};

static bool is_component(struct str name)
{
	if (str_list_has((struct str_list){derived_components, ARRAY_LEN(derived_components)}, name))
		return true;
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] >= 'A' && name.p[i] <= 'Z')
			return false;
	}
	return is_token(name);
}

/* RFC 8941, 3.1.2: the key of a dictionary. */
static bool is_label(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		bool first = is_lower(s.p[i]) || s.p[i] == '*';
		bool later = is_digit(s.p[i]) || s.p[i] == '_' || s.p[i] == '-' || s.p[i] == '.';
		if (!first && !(i > 0 && later))
			return false;
	}
	return s.n > 0;
}

/* RFC 8941, 3.3.3: what a quoted string can hold. */
static bool is_printable_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (is_control(s.p[i]) || (unsigned char)s.p[i] > 0x7f)
			return false;
	}
	return true;
}

static int check_components(const struct rules *rules)
{
	char text[QUOTED_SIZE];
	const struct str_list *components = &rules->manifest->credential.components;
	const struct toml_value *where = place_of(rules, "components");
	if (components->n == 0)
		return broken(rules, where, "'" TABLE ".components' needs at least one component");
	for (size_t i = 0; i < components->n; i++) {
		struct str name = components->items[i];
		if (!is_component(name))
			return broken(rules, place_element(where, i),
				      "'" TABLE
				      ".components' entry %zu is '%s': neither a derived component of a request "
				      "nor a lower-case field name",
				      i + 1, quoted(name, text));
		if (str_list_has((struct str_list){components->items, i}, name))
			return broken(rules, place_element(where, i), "'" TABLE ".components' names '%s' twice",
				      quoted(name, text));
	}
	return 0;
}

static int check_signing_key(const struct rules *rules)
{
	char text[QUOTED_SIZE];
	const struct manifest_credential *credential = &rules->manifest->credential;
	if (check_foreign_fields(rules) < 0 || check_no_oauth2(rules) < 0)
		return -1;
	if (credential->algorithm.n == 0)
		return broken(rules, place_of(rules, "algorithm"),
			      "'" TABLE ".algorithm' is required for kind 'signing_key'");
	if (!str_eq(credential->algorithm, S("ed25519")) && !str_eq(credential->algorithm, S("hmac-sha256")))
		return broken(rules, place_of(rules, "algorithm"),
			      "'" TABLE ".algorithm' is '%s': it must be 'ed25519' or 'hmac-sha256'",
			      quoted(credential->algorithm, text));
	if (!is_printable_ascii(credential->key_id))
		return broken(rules, place_of(rules, "key_id"), "'" TABLE ".key_id' must be printable ASCII");
	if (!is_label(credential->label))
		return broken(rules, place_of(rules, "label"),
			      "'" TABLE ".label' is '%s': it must be a-z or '*', then a-z, 0-9, '_', '-', '.' or '*'",
			      quoted(credential->label, text));
	return check_components(rules);
}

/* ---- which ---- */

static int check_unknown_kind(const struct rules *rules)
{
	char text[QUOTED_SIZE];
	struct str kind = rules->manifest->credential.kind_text;
	if (kind.n == 0)
		return broken(rules, place(rules, TABLE), "'" TABLE "': kind is required");
	AUTO_BUF names = BUF_INIT(256);
	for (int i = CREDENTIAL_NONE + 1; i < CREDENTIAL__MAX; i++)
		buf_addf(&names, "%s%s", names.n == 0 ? "" : ", ", credential_kind_name((enum credential_kind)i));
	return broken(rules, place_of(rules, "kind"), "'" TABLE ".kind' is '%s', which is not in the closed set: %s",
		      quoted(kind, text), names.p);
}

int check_credential(const struct rules *rules)
{
	static int (*const by_kind[CREDENTIAL__MAX])(const struct rules *rules) = {
		[CREDENTIAL_NONE] = check_unknown_kind, [CREDENTIAL_API_KEY] = check_api_key,
		[CREDENTIAL_OAUTH2] = check_oauth2,     [CREDENTIAL_AWS_SIGV4] = check_aws_sigv4,
		[CREDENTIAL_BASIC] = check_basic,       [CREDENTIAL_SIGNING_KEY] = check_signing_key,
	};
	const struct manifest_credential *credential = &rules->manifest->credential;
	return credential->present ? by_kind[credential->kind](rules) : 0;
}
