#include "text/wire.h"
#include "text/json.h"

/* The next n bytes, or NULL once the reader is bad or they are not there. */
static const unsigned char *take(struct wire_reader *r, size_t n)
{
	if (r->bad || r->rest.n < n) {
		r->bad = true;
		return NULL;
	}
	const unsigned char *p = (const unsigned char *)r->rest.p;
	r->rest = str_slice(r->rest, n, r->rest.n);
	return p;
}

static uint64_t take_integer(struct wire_reader *r, size_t n)
{
	const unsigned char *p = take(r, n);
	uint64_t v = 0;
	for (size_t i = 0; p != NULL && i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

uint8_t wire_u8(struct wire_reader *r)
{
	return (uint8_t)take_integer(r, 1);
}

uint16_t wire_u16(struct wire_reader *r)
{
	return (uint16_t)take_integer(r, 2);
}

uint32_t wire_u32(struct wire_reader *r)
{
	return (uint32_t)take_integer(r, 4);
}

uint64_t wire_u64(struct wire_reader *r)
{
	return take_integer(r, 8);
}

int32_t wire_i32(struct wire_reader *r)
{
	return (int32_t)wire_u32(r);
}

bool wire_bool(struct wire_reader *r)
{
	uint8_t v = wire_u8(r);
	if (v > 1)
		r->bad = true;
	return v == 1;
}

struct str wire_str(struct wire_reader *r)
{
	uint32_t n = wire_u32(r);
	const unsigned char *p = take(r, n);
	return p == NULL ? STR_EMPTY : str_of(p, n);
}

uint32_t wire_count(struct wire_reader *r, size_t item_min)
{
	if (item_min == 0)
		BUG("items of no bytes cannot be counted");
	uint32_t count = wire_u32(r);
	if (count <= r->rest.n / item_min)
		return count;
	r->bad = true;
	return 0;
}

int wire_done(const struct wire_reader *r, const char *message, struct err *err)
{
	if (r->bad)
		return fail(err, ERR_PROTOCOL, "message '%s' is cut short or has a field out of range", message);
	if (r->rest.n > 0)
		return fail(err, ERR_PROTOCOL, "message '%s' has %zu bytes too many", message, r->rest.n);
	return 0;
}

static void put_integer(struct buf *out, uint64_t v, size_t n)
{
	unsigned char bytes[8];
	for (size_t i = 0; i < n; i++)
		bytes[i] = (unsigned char)(v >> (8 * i));
	buf_add(out, bytes, n);
}

void wire_put_u8(struct buf *out, uint8_t v)
{
	put_integer(out, v, 1);
}

void wire_put_u16(struct buf *out, uint16_t v)
{
	put_integer(out, v, 2);
}

void wire_put_u32(struct buf *out, uint32_t v)
{
	put_integer(out, v, 4);
}

void wire_put_u64(struct buf *out, uint64_t v)
{
	put_integer(out, v, 8);
}

void wire_put_i32(struct buf *out, int32_t v)
{
	put_integer(out, (uint32_t)v, 4);
}

void wire_put_bool(struct buf *out, bool v)
{
	put_integer(out, v ? 1 : 0, 1);
}

void wire_put_str(struct buf *out, struct str s)
{
	if (s.n > UINT32_MAX) {
		out->failed = true;
		return;
	}
	wire_put_u32(out, (uint32_t)s.n);
	buf_add_str(out, s);
}

void wire_put_err(struct buf *out, const struct err *err)
{
	wire_put_u8(out, (uint8_t)err->class);
	wire_put_u8(out, (uint8_t)err->boundary);
	wire_put_bool(out, err->retriable);
	wire_put_i32(out, err->os_errno);
	wire_put_u32(out, err->line);
	wire_put_str(out, str_from(err->file));
	wire_put_str(out, str_from(err->message));
	wire_put_str(out, str_of(err->details, err->details_n));
}

/* Text for a field of `room` bytes, which a NUL ends. */
static struct str field_text(struct wire_reader *r, size_t room)
{
	struct str s = wire_str(r);
	if (s.n >= room || str_find_char(s, '\0') != STR_NPOS) {
		r->bad = true;
		return STR_EMPTY;
	}
	return s;
}

static void copy_text(char *field, struct str s)
{
	if (s.n > 0)
		memcpy(field, s.p, s.n);
	field[s.n] = '\0';
}

/*
 * Whether the text is the inside of a JSON object. Details are spliced into documents as they are, so text that closes
 * the object early would write into what stands around it.
 */
static bool are_members(struct str details)
{
	if (details.n == 0)
		return true;
	char object[ERR_DETAILS_MAX + 2];
	object[0] = '{';
	memcpy(object + 1, details.p, details.n);
	object[details.n + 1] = '}';
	unsigned flags = JSON_READ_LAST_DUPLICATE | JSON_READ_ALLOW_NUL;
	AUTO(json) *json = json_parse(str_of(object, details.n + 2), flags, NULL);
	return json_length(json) > 0;
}

void wire_get_err(struct wire_reader *r, struct err *ret)
{
	err_clear(ret);
	uint8_t code = wire_u8(r);
	uint8_t boundary = wire_u8(r);
	bool retriable = wire_bool(r);
	int32_t os_errno = wire_i32(r);
	uint32_t line = wire_u32(r);
	struct str file = field_text(r, ERR_FILE_MAX);
	struct str message = field_text(r, ERR_MESSAGE_MAX);
	struct str details = field_text(r, ERR_DETAILS_MAX);
	if (code >= ERR_CLASS__MAX || boundary >= BOUNDARY__MAX || !are_members(details))
		r->bad = true;
	if (r->bad)
		return;
	ret->class = (enum err_class)code;
	ret->boundary = (enum err_boundary)boundary;
	ret->retriable = retriable;
	ret->os_errno = os_errno;
	ret->line = line;
	copy_text(ret->file, file);
	copy_text(ret->message, message);
	copy_text(ret->details, details);
	ret->details_n = (uint32_t)details.n;
}
