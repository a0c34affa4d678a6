// The peer of the benchmarks: the same connectors over wazero, in process and unconfined.
//
//	wazero-peer bench NAME MODULE OP ARGS CALLS   JSON lines: load without and with a cache, call times
//	wazero-peer once CACHE MODULE OP ARGS         one call and exit, as a harness would; CACHE "" = none
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"sort"
	"strconv"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

type host struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
}

// The host functions answer as if nothing could be reached; the measured ops use no network.
func hostModule(ctx context.Context, r wazero.Runtime) error {
	minus := func(n int32) func() int32 { return func() int32 { return n } }
	_, err := r.NewHostModuleBuilder("aileron_host").
		NewFunctionBuilder().WithFunc(func(context.Context, api.Module, uint32, uint32, uint32, uint32) {}).Export("log").
		NewFunctionBuilder().WithFunc(func(uint32, uint32) int32 { return -1 }).Export("http_request").
		NewFunctionBuilder().WithFunc(minus(-1)).Export("http_response_size").
		NewFunctionBuilder().WithFunc(minus(-1)).Export("http_response_status").
		NewFunctionBuilder().WithFunc(func(uint32, uint32) int32 { return -1 }).Export("http_response_read").
		Instantiate(ctx)
	return err
}

func load(ctx context.Context, module []byte, cache wazero.CompilationCache) (*host, error) {
	config := wazero.NewRuntimeConfigCompiler().WithCloseOnContextDone(true)
	if cache != nil {
		config = config.WithCompilationCache(cache)
	}
	r := wazero.NewRuntimeWithConfig(ctx, config)
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	if err := hostModule(ctx, r); err != nil {
		return nil, err
	}
	compiled, err := r.CompileModule(ctx, module)
	return &host{r, compiled}, err
}

func (h *host) call(ctx context.Context, input []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var out bytes.Buffer
	config := wazero.NewModuleConfig().WithName("").WithStdin(bytes.NewReader(input)).WithStdout(&out).
		WithRandSource(rand.Reader).WithSysWalltime().WithSysNanotime()
	module, err := h.runtime.InstantiateModule(ctx, h.compiled, config)
	if exit, ok := err.(*sys.ExitError); ok && exit.ExitCode() == 0 {
		err = nil
	}
	if module != nil {
		module.Close(ctx)
	}
	return out.Bytes(), err
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "wazero-peer:", err)
		os.Exit(1)
	}
}

func bench(name string, module, input []byte, calls int) {
	ctx := context.Background()
	started := time.Now()
	h, err := load(ctx, module, nil)
	check(err)
	cold := time.Since(started)

	folder, err := os.MkdirTemp("", "wazero-cache")
	check(err)
	defer os.RemoveAll(folder)
	for i := 0; i < 2; i++ {
		cache, err := wazero.NewCompilationCacheWithDir(folder)
		check(err)
		started = time.Now()
		again, err := load(ctx, module, cache)
		check(err)
		if i == 1 {
			fmt.Printf("{\"bench\":\"wazero_load\",\"module\":%q,\"cold_us\":%d,\"cached_us\":%d}\n", name, cold.Microseconds(),
				time.Since(started).Microseconds())
		}
		again.runtime.Close(ctx)
	}

	times := make([]time.Duration, calls)
	for i := range times {
		started = time.Now()
		out, err := h.call(ctx, input)
		times[i] = time.Since(started)
		check(err)
		if !bytes.HasPrefix(out, []byte(`{"output":`)) {
			check(fmt.Errorf("the connector answered %q", out))
		}
	}
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	fmt.Printf("{\"bench\":\"wazero_call\",\"module\":%q,\"calls\":%d,\"p50_us\":%.2f,\"p99_us\":%.2f}\n", name, calls,
		float64(times[calls/2].Nanoseconds())/1e3, float64(times[calls*99/100].Nanoseconds())/1e3)
}

func main() {
	if len(os.Args) == 7 && os.Args[1] == "bench" {
		module, err := os.ReadFile(os.Args[3])
		check(err)
		calls, err := strconv.Atoi(os.Args[6])
		check(err)
		bench(os.Args[2], module, input(os.Args[4], os.Args[5]), calls)
		return
	}
	if len(os.Args) == 6 && os.Args[1] == "once" {
		ctx := context.Background()
		module, err := os.ReadFile(os.Args[3])
		check(err)
		var cache wazero.CompilationCache
		if os.Args[2] != "" {
			cache, err = wazero.NewCompilationCacheWithDir(os.Args[2])
			check(err)
		}
		h, err := load(ctx, module, cache)
		check(err)
		out, err := h.call(ctx, input(os.Args[4], os.Args[5]))
		check(err)
		os.Stdout.Write(out)
		return
	}
	fmt.Fprintln(os.Stderr, "usage: wazero-peer bench NAME MODULE OP ARGS CALLS | once CACHE MODULE OP ARGS")
	os.Exit(2)
}

func input(op, args string) []byte {
	return []byte(`{"args":` + args + `,"op":"` + op + `"}`)
}
