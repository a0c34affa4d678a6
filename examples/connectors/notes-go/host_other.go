//go:build !wasip1

package main

import "errors"

// Outside of a host there is no network: the tests replace httpDo's callers' transport instead.

var errHost = errors.New("the host refused the request")

func logLine(level, message string) {}

func httpDo(req request) (response, error) { return response{}, errHost }
