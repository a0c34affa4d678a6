//go:build wasip1

package main

import (
	"encoding/json"
	"errors"
	"unsafe"
)

// The five functions of the host that a connector with HTTP needs. The host copies in and out during the call and keeps
// no pointer.

//go:wasmimport aileron_host log
func hostLog(level unsafe.Pointer, levelLen uint32, message unsafe.Pointer, messageLen uint32)

//go:wasmimport aileron_host http_request
func hostHTTPRequest(request unsafe.Pointer, n uint32) int32

//go:wasmimport aileron_host http_response_size
func hostHTTPResponseSize() int32

//go:wasmimport aileron_host http_response_status
func hostHTTPResponseStatus() int32

//go:wasmimport aileron_host http_response_read
func hostHTTPResponseRead(to unsafe.Pointer, n uint32) int32

// errHost means that the host refused or the transfer failed. The host reports its own error, so there is nothing to add.
var errHost = errors.New("the host refused the request")

func logLine(level, message string) {
	hostLog(unsafe.Pointer(unsafe.StringData(level)), uint32(len(level)),
		unsafe.Pointer(unsafe.StringData(message)), uint32(len(message)))
}

func httpDo(req request) (response, error) {
	envelope, err := json.Marshal(req)
	if err != nil {
		return response{}, err
	}
	if hostHTTPRequest(unsafe.Pointer(unsafe.SliceData(envelope)), uint32(len(envelope))) != 0 {
		return response{}, errHost
	}
	size := hostHTTPResponseSize()
	if size < 0 {
		return response{}, errHost
	}
	body := make([]byte, size)
	if size > 0 && hostHTTPResponseRead(unsafe.Pointer(unsafe.SliceData(body)), uint32(size)) != size {
		return response{}, errHost
	}
	return response{status: int(hostHTTPResponseStatus()), body: body}, nil
}
