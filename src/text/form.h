/*
 * form: application/x-www-form-urlencoded (WHATWG URL, 5.2)
 *
 * What a browser's form sends and a query carries: letters, digits and "*-._" as they are, a space as '+', every other byte as
 * a percent sign and two upper-case digits. Pure; any thread.
 */
#pragma once
#include "base/buf.h"
#include "base/str.h"

void form_escape(struct buf *out, struct str text);
/* "name=value", after '&' when `out` is not empty and does not end in '?' or '&'. */
void form_put(struct buf *out, struct str name, struct str value);
