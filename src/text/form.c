#include "text/form.h"
#include "text/percent.h"

void form_escape(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == ' ')
			buf_add_char(out, '+');
		else
			percent_put(out, PERCENT_FORM, text.p[i]);
	}
}

void form_put(struct buf *out, struct str name, struct str value)
{
	char last = out->n > 0 ? out->p[out->n - 1] : '&';
	if (last != '&' && last != '?')
		buf_add_char(out, '&');
	form_escape(out, name);
	buf_add_char(out, '=');
	form_escape(out, value);
}
