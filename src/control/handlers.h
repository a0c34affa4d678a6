/*
 * handlers: the handler of each operation
 *
 * Declared in control.h, written in handlers_*.c by subject, one row here.
 */
#pragma once
#include "control/control.h"

extern request_handler *const control_handlers[OP__MAX];
