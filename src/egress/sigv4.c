#include "egress/sigv4.h"
#include "base/buf.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/time.h"
#include "crypto/digest.h"
#include "text/percent.h"

#define ALGORITHM "AWS4-HMAC-SHA256"

/* ^[a-z]{2}-([a-z]+-)+[0-9]+$ */
static bool is_region(struct str label)
{
	size_t letters = 0, groups = 0, digits = 0;
	for (size_t i = 0; i < label.n; i++) {
		char c = label.p[i];
		if (c >= 'a' && c <= 'z') {
			if (digits > 0)
				return false;
			letters++;
		} else if (c >= '0' && c <= '9') {
			if (letters > 0 || groups < 2)
				return false;
			digits++;
		} else if (c == '-') {
			if (letters == 0 || (groups == 0 && letters != 2))
				return false;
			groups++;
			letters = 0;
		} else {
			return false;
		}
	}
	return digits > 0;
}

bool sigv4_host_scope(struct str host, struct str *ret_region, struct str *ret_service)
{
	host = str_slice(host, 0, str_find_char(host, ':'));
	struct str service = STR_EMPTY;
	while (host.n > 0) {
		struct str label;
		host = str_cut(host, '.', &label);
		if (is_region(label)) {
			if (service.n == 0)
				return false;
			*ret_region = label;
			*ret_service = service;
			return true;
		}
		if (!str_eq(label, S("dualstack")))
			service = str_ends(label, S("-fips")) ? str_slice(label, 0, label.n - 5) : label;
	}
	return false;
}

static void add_encoded_byte(struct buf *out, char c, bool twice)
{
	if (twice && !percent_is_plain(PERCENT_UNRESERVED, c)) {
		char escape[3];
		percent_write(escape, c);
		buf_add_z(out, "%25");
		buf_add_str(out, str_of(escape + 1, sizeof escape - 1));
	} else {
		percent_put(out, PERCENT_UNRESERVED, c);
	}
}

/* Decodes once and encodes once or twice, so that every spelling of the same bytes gives the same text. */
static void add_encoded(struct buf *out, struct str s, bool twice)
{
	for (size_t i = 0; i < s.n; i++) {
		int byte = percent_at(s, i);
		add_encoded_byte(out, byte >= 0 ? (char)byte : s.p[i], twice);
		i += byte >= 0 ? 2 : 0;
	}
}

/* Removes what was written since the last slash, and that slash: "..", seen from `floor`. */
static void drop_segment(struct buf *out, size_t floor)
{
	size_t n = out->n;
	while (n > floor && out->p[n - 1] != '/')
		n--;
	buf_truncate(out, n > floor ? n - 1 : floor);
}

static void add_path(struct buf *out, struct str path, unsigned how)
{
	size_t start = out->n;
	bool normalised = (how & SIGV4_PATH_NORMALISED) != 0;
	bool ends_in_slash = true;
	if (path.n > 0 && path.p[0] == '/')
		path = str_slice(path, 1, path.n);
	for (bool more = true; more;) {
		struct str segment;
		more = str_find_char(path, '/') != STR_NPOS;
		path = str_cut(path, '/', &segment);
		bool dot = str_eq(segment, S(".")), dots = str_eq(segment, S(".."));
		ends_in_slash = segment.n == 0 || dot || dots;
		if (normalised && ends_in_slash) {
			if (dots)
				drop_segment(out, start);
			continue;
		}
		buf_add_char(out, '/');
		add_encoded(out, segment, (how & SIGV4_PATH_TWICE) != 0);
	}
	if (out->n == start || (normalised && ends_in_slash))
		buf_add_char(out, '/');
}

/* A name and value in their canonical text, sorted by both, equal ones in the order of the message. */
struct pair {
	struct str name, value;
	size_t index;
};

static int compare_pairs(const void *left, const void *right)
{
	const struct pair *a = left, *b = right;
	int order = str_cmp(a->name, b->name);
	if (order == 0)
		order = str_cmp(a->value, b->value);
	return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

static int compare_names(const void *left, const void *right)
{
	const struct pair *a = left, *b = right;
	int order = str_cmp(a->name, b->name);
	return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

static struct str encoded(struct arena *arena, struct buf *scratch, struct str s)
{
	buf_clear(scratch);
	add_encoded(scratch, s, false);
	return arena_str(arena, buf_str(scratch));
}

static void add_query(struct arena *arena, struct buf *out, struct str query)
{
	size_t room = 1, n = 0;
	for (size_t i = 0; i < query.n; i++)
		room += query.p[i] == '&';
	struct pair *pairs = arena_array(arena, room, sizeof *pairs);
	AUTO_BUF scratch = BUF_INIT(SIGV4_CANONICAL_MAX);
	while (query.n > 0) {
		struct str part, name;
		query = str_cut(query, '&', &part);
		if (part.n == 0)
			continue;
		struct str value = str_cut(part, '=', &name);
		struct str coded_name = encoded(arena, &scratch, name);
		pairs[n] = (struct pair){coded_name, encoded(arena, &scratch, value), n};
		n++;
	}
	qsort(pairs, n, sizeof *pairs, compare_pairs);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_add_char(out, '&');
		buf_add_str(out, pairs[i].name);
		buf_add_char(out, '=');
		buf_add_str(out, pairs[i].value);
	}
}

static struct str lower(struct arena *arena, struct str s)
{
	char *copy = arena_alloc(arena, s.n + 1);
	for (size_t i = 0; i < s.n; i++)
		copy[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] - 'A' + 'a' : s.p[i]);
	return str_of(copy, s.n);
}

/* Trimmed, and each run of spaces as one. */
static void add_value(struct buf *out, struct str value)
{
	value = str_trim(value);
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] != ' ' || value.p[i - 1] != ' ')
			buf_add_char(out, value.p[i]);
	}
}

static struct str add_headers(struct arena *arena, struct buf *out, const struct message *message)
{
	size_t n = message->n_headers + 1;
	struct pair *pairs = arena_array(arena, n, sizeof *pairs);
	pairs[0] = (struct pair){S("host"), url_host_header(arena, message->url), 0};
	for (size_t i = 1; i < n; i++) {
		const struct message_header *header = &message->headers[i - 1];
		pairs[i] = (struct pair){lower(arena, header->name), header->value, i};
	}
	qsort(pairs, n, sizeof *pairs, compare_names);
	AUTO_BUF list = BUF_INIT(SIGV4_CANONICAL_MAX);
	for (size_t i = 0; i < n; i++) {
		bool repeated = i > 0 && str_eq(pairs[i].name, pairs[i - 1].name);
		if (!repeated) {
			if (i > 0) {
				buf_add_char(out, '\n');
				buf_add_char(&list, ';');
			}
			buf_add_str(out, pairs[i].name);
			buf_add_str(&list, pairs[i].name);
		}
		buf_add_char(out, repeated ? ',' : ':');
		add_value(out, pairs[i].value);
	}
	buf_add_char(out, '\n');
	/* A list that does not fit means headers that do not fit either, which the caller finds. */
	return arena_str(arena, buf_str(&list));
}

int sigv4_canonicalise(struct arena *arena, const struct message *message, struct str payload_hash, unsigned path,
		       struct sigv4_canonical *ret, struct err *err)
{
	AUTO_BUF out = BUF_INIT(SIGV4_CANONICAL_MAX);
	buf_add_str(&out, message->method);
	buf_add_char(&out, '\n');
	add_path(&out, message->url->path, path);
	buf_add_char(&out, '\n');
	add_query(arena, &out, message->url->query);
	buf_add_char(&out, '\n');
	struct str signed_headers = add_headers(arena, &out, message);
	buf_add_char(&out, '\n');
	buf_add_str(&out, signed_headers);
	buf_add_char(&out, '\n');
	buf_add_str(&out, payload_hash);
	if (buf_check(&out, "the request to be signed", err) < 0)
		return -1;
	*ret = (struct sigv4_canonical){arena_str(arena, buf_str(&out)), signed_headers};
	return 0;
}

static bool is_ours(struct str name)
{
	return str_eq_fold(name, S("authorization")) || str_eq_fold(name, S("x-amz-date")) ||
	       str_eq_fold(name, S("x-amz-content-sha256")) || str_eq_fold(name, S("host"));
}

/* The message as it will be sent: what we set ourselves takes the place of what the guest set. */
static struct message with_our_headers(struct arena *arena, const struct message *message,
				       const struct sigv4_signature *ours)
{
	struct message_header *headers = arena_array(arena, message->n_headers + 2, sizeof *headers);
	size_t n = 0;
	for (size_t i = 0; i < message->n_headers; i++) {
		if (!is_ours(message->headers[i].name))
			headers[n++] = message->headers[i];
	}
	headers[n++] = (struct message_header){S("x-amz-date"), ours->date};
	headers[n++] = (struct message_header){S("x-amz-content-sha256"), ours->payload_hash};
	struct message result = *message;
	result.headers = headers;
	result.n_headers = n;
	return result;
}

static int choose_scope(const struct message *message, const struct sigv4_options *options, struct sigv4_scope *ret,
			struct err *err)
{
	struct str region, service;
	if (!sigv4_host_scope(message->url->host, &region, &service)) {
		region = options->fallback_region;
		service = options->fallback_service;
	}
	if (region.n == 0 || service.n == 0) {
		fail(err, ERR_CAPABILITY_DENIED,
		     "cannot sign for '%.*s': the host names no AWS region and service, and the manifest and the "
		     "binding "
		     "do not give both; set region and service in [capabilities.credential]",
		     STR_FMT(message->url->host));
		err_detail(err, "boundary_detail", S("connector_manifest"));
		return -1;
	}
	ret->region = region;
	ret->service = service;
	time_format_compact_date(options->now, ret->day);
	return 0;
}

static struct str hex_digest(struct arena *arena, struct str bytes)
{
	char text[SHA256_HEX_TEXT_SIZE];
	return arena_str(arena, str_from(sha256_hex(bytes, text)));
}

int sigv4_sign(struct arena *arena, const struct message *message, const struct sigv4_options *options,
	       const struct signer *signer, struct sigv4_signature *ret, struct err *err)
{
	struct sigv4_scope scope;
	if (choose_scope(message, options, &scope, err) < 0)
		return -1;
	char date[TIME_COMPACT_SIZE];
	struct sigv4_signature result = {
		.date = arena_str(arena, str_from(time_format_compact(options->now, date))),
		.payload_hash = hex_digest(arena, message->body),
	};
	struct message sent = with_our_headers(arena, message, &result);
	bool is_s3 = str_eq(scope.service, S("s3"));
	struct sigv4_canonical canonical;
	if (sigv4_canonicalise(arena, &sent, result.payload_hash,
			       is_s3 ? SIGV4_PATH_AS_SENT : SIGV4_PATH_NORMALISED | SIGV4_PATH_TWICE, &canonical,
			       err) < 0)
		return -1;

	struct str scope_text = arena_printf(arena, "%s/%.*s/%.*s/aws4_request", scope.day, STR_FMT(scope.region),
					     STR_FMT(scope.service));
	char request_hash[SHA256_HEX_TEXT_SIZE];
	struct str to_sign = arena_printf(arena, ALGORITHM "\n%s\n%.*s\n%s", date, STR_FMT(scope_text),
					  sha256_hex(canonical.request, request_hash));
	unsigned char mac[SHA256_SIZE];
	if (signer->aws_sigv4(signer->context, &scope, to_sign, mac, err) < 0)
		return -1;
	char signature[2 * SHA256_SIZE + 1];
	result.authorization =
		arena_printf(arena, ALGORITHM " Credential=%.*s/%.*s, SignedHeaders=%.*s, Signature=%s",
			     STR_FMT(options->access_key_id), STR_FMT(scope_text), STR_FMT(canonical.signed_headers),
			     hex_format(str_of(mac, sizeof mac), signature));
	*ret = result;
	return 0;
}
