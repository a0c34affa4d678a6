/* Any bytes: the first ones say which fields are read from the rest; whole messages are written back as they were. */
#include "text/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Reads the field that `kind` names and writes it again. */
static void copy_field(struct wire_reader *r, struct buf *out, unsigned kind)
{
	struct err err;
	switch (kind % 8) {
	case 0:
		wire_put_u8(out, wire_u8(r));
		break;
	case 1:
		wire_put_u16(out, wire_u16(r));
		break;
	case 2:
		wire_put_u32(out, wire_u32(r));
		break;
	case 3:
		wire_put_u64(out, wire_u64(r));
		break;
	case 4:
		wire_put_i32(out, wire_i32(r));
		break;
	case 5:
		wire_put_bool(out, wire_bool(r));
		break;
	case 6:
		wire_put_str(out, wire_str(r));
		break;
	default:
		wire_get_err(r, &err);
		wire_put_err(out, &err);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str fields;
	struct str body = str_cut(str_of(data, n), '\n', &fields);
	struct wire_reader r = wire_reader(body);
	AUTO_BUF out = BUF_INIT(64 << 20);
	for (size_t i = 0; i < fields.n; i++)
		copy_field(&r, &out, (unsigned char)fields.p[i]);
	struct err err = {0};
	if (wire_done(&r, "noise", &err) == 0) {
		if (!str_eq(buf_str(&out), body))
			BUG("a whole message was written back as another");
	} else if (err.class != ERR_PROTOCOL) {
		BUG("refused without a reason");
	}
	return 0;
}
