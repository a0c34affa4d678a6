#include "egress/headers.h"
#include "base/escape.h"
#include <stdlib.h>

/* What a guest cannot decide: the transport's own fields, and those that RFC 9110 7.6.1 ties to one connection. */
static const char *const dropped_names[] = {
	"Host",       "Content-Length", "Connection",
	"Keep-Alive", "Proxy", /* no field, but CGI programs take it for the variable HTTP_PROXY */
	"TE",         "Trailer",        "Transfer-Encoding",
	"Upgrade",    "HTTP2-Settings",
};

static bool is_token_char(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

bool headers_is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!is_token_char((unsigned char)s.p[i]))
			return false;
	}
	return s.n > 0;
}

static bool is_value(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

/* The first letter and each after a hyphen large, the others small. */
static struct str canonical(struct arena *arena, struct str name)
{
	char *p = arena_alloc(arena, name.n + 1);
	bool start = true;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		if (start && c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		else if (!start && c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		p[i] = c;
		start = c == '-';
	}
	return str_of(p, name.n);
}

static bool has_prefix(struct str name, struct str prefix)
{
	return str_eq_fold(str_slice(name, 0, prefix.n), prefix);
}

static bool is_dropped(struct str name, struct str connection)
{
	for (size_t i = 0; i < ARRAY_LEN(dropped_names); i++) {
		if (str_eq_fold(name, str_from(dropped_names[i])))
			return true;
	}
	return has_prefix(name, S("Proxy-")) || str_listed(connection, name);
}

static void note_dropped(struct buf *dropped, struct str name)
{
	if (dropped->n > 0)
		buf_add_z(dropped, ", ");
	for (size_t i = 0; i < name.n; i++)
		buf_add_char(dropped, name.p[i] >= 'A' && name.p[i] <= 'Z' ? (char)(name.p[i] | 0x20) : name.p[i]);
}

static int check(const struct message_header *header, struct err *err)
{
	AUTO_BUF name = BUF_INIT(1024);
	escape_quoted(&name, str_slice(header->name, 0, 100));
	if (!headers_is_token(header->name))
		return fail(err, ERR_CONNECTOR_RUNTIME_ERROR, "header name '%s' is not valid", name.p);
	if (!is_value(header->value))
		return fail(err, ERR_CONNECTOR_RUNTIME_ERROR, "the value of header '%s' has a control character",
			    name.p);
	return 0;
}

static struct message_header *find(const struct header_list *list, struct str name)
{
	for (size_t i = 0; i < list->n; i++) {
		if (str_eq_fold(list->items[i].name, name))
			return &list->items[i];
	}
	return NULL;
}

int headers_make(struct arena *arena, const struct message_header *given, size_t n, struct header_list *ret,
		 struct buf *dropped, struct err *err)
{
	struct str connection = STR_EMPTY;
	size_t bytes = 0;
	for (size_t i = 0; i < n; i++) {
		if (check(&given[i], err) != 0)
			return -1;
		bytes += given[i].name.n + given[i].value.n;
		if (str_eq_fold(given[i].name, S("Connection")))
			connection = given[i].value;
	}
	if (bytes > HEADERS_BYTES_MAX)
		return fail(err, ERR_CONNECTOR_RUNTIME_ERROR, "the headers have %zu bytes and may have %zu", bytes,
			    HEADERS_BYTES_MAX);

	struct header_list list = {.items = arena_array(arena, n, sizeof *list.items)};
	for (size_t i = 0; i < n; i++) {
		if (is_dropped(given[i].name, connection)) {
			note_dropped(dropped, given[i].name);
			continue;
		}
		struct message_header *at = find(&list, given[i].name);
		if (at == NULL)
			at = &list.items[list.n++];
		*at = (struct message_header){canonical(arena, given[i].name), str_trim(given[i].value)};
	}
	*ret = list;
	return 0;
}

const struct message_header *headers_find(const struct header_list *list, struct str name)
{
	return find(list, name);
}

static void remove_where(struct header_list *list, bool (*gone)(struct str name, struct str argument),
			 struct str argument)
{
	size_t kept = 0;
	for (size_t i = 0; i < list->n; i++) {
		if (!gone(list->items[i].name, argument))
			list->items[kept++] = list->items[i];
	}
	list->n = kept;
}

static bool has_name(struct str name, struct str argument)
{
	return str_eq_fold(name, argument);
}

void headers_remove(struct header_list *list, struct str name)
{
	remove_where(list, has_name, name);
}

void headers_remove_content(struct header_list *list)
{
	remove_where(list, has_prefix, S("Content-"));
}

void headers_withhold(struct header_list *list, struct str name, struct buf *dropped)
{
	if (find(list, name) == NULL)
		return;
	note_dropped(dropped, name);
	headers_remove(list, name);
}

void headers_remove_credentials(struct header_list *list, struct str key_header)
{
	headers_remove(list, S("Authorization"));
	headers_remove(list, S("Cookie"));
	if (key_header.n > 0)
		headers_remove(list, key_header);
}
