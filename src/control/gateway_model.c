#include "control/gateway_model.h"

static void begin_string(struct gateway_model *model)
{
	model->after = model->at;
	model->at = GATEWAY_MODEL_IN_STRING;
	model->captures = model->depth == 1 && (model->after == GATEWAY_MODEL_AT_NAME || model->named);
	model->spoilt = false;
	model->text_n = 0;
}

static void end_string(struct gateway_model *model)
{
	model->at = model->after;
	if (!model->captures)
		return;
	struct str text = str_of(model->text, model->spoilt ? 0 : model->text_n);
	if (model->at == GATEWAY_MODEL_AT_NAME) {
		model->named = str_eq(text, S("model"));
	} else {
		memcpy(model->found, text.p, text.n);
		model->found_n = text.n;
		model->named = false;
	}
}

static void take_in_string(struct gateway_model *model, char c)
{
	if (model->escaped) {
		model->escaped = false;
	} else if (c == '"') {
		end_string(model);
	} else if (c == '\\') {
		model->escaped = model->spoilt = true;
	} else if (model->captures) {
		if (model->text_n == sizeof model->text || c < ' ' || c > '~')
			model->spoilt = true;
		else
			model->text[model->text_n++] = c;
	}
}

static void take_outside(struct gateway_model *model, char c)
{
	switch (c) {
	case '"':
		begin_string(model);
		break;
	case '{':
	case '[':
		model->depth++;
		break;
	case '}':
	case ']':
		model->at = --model->depth == 0 ? GATEWAY_MODEL_OVER : model->at;
		break;
	case ':':
		model->at = model->depth == 1 ? GATEWAY_MODEL_AT_VALUE : model->at;
		break;
	case ',':
		if (model->depth == 1) {
			model->at = GATEWAY_MODEL_AT_NAME;
			model->named = false;
		}
		break;
	default:
		break;
	}
}

static void take_first(struct gateway_model *model, char c)
{
	if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
		return;
	model->at = c == '{' ? GATEWAY_MODEL_AT_NAME : GATEWAY_MODEL_OVER;
	model->depth = 1;
}

void gateway_model_feed(struct gateway_model *model, struct str piece)
{
	for (size_t i = 0; i < piece.n && model->at != GATEWAY_MODEL_OVER; i++) {
		if (model->at == GATEWAY_MODEL_IN_STRING)
			take_in_string(model, piece.p[i]);
		else if (model->at == GATEWAY_MODEL_AT_START)
			take_first(model, piece.p[i]);
		else
			take_outside(model, piece.p[i]);
	}
}

struct str gateway_model_found(const struct gateway_model *model)
{
	return str_of(model->found, model->found_n);
}
