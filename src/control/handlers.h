/*
 * handlers: the handler of each operation
 *
 * By operations.def; written in handlers_*.c by subject.
 */
#pragma once
#include "control/control.h"

extern request_handler *const control_handlers[OP__MAX];
