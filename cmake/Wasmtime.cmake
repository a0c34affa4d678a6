# Wasmtime::Wasmtime from deps/wasmtime (built once, outside the build tree) or from the copy that WASMTIME_DIR names.
execute_process(COMMAND ${CMAKE_SOURCE_DIR}/deps/wasmtime/build
  OUTPUT_VARIABLE wasmtime_dir OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "Wasmtime could not be built; the reason stands above")
endif()

add_library(Wasmtime::Wasmtime STATIC IMPORTED)
if(EXISTS ${wasmtime_dir}/lib/libaileron_wasmtime.a)
  set_target_properties(Wasmtime::Wasmtime PROPERTIES
    IMPORTED_LOCATION ${wasmtime_dir}/lib/libaileron_wasmtime.a
    INTERFACE_COMPILE_DEFINITIONS AILERON_WASMTIME_EXTRAS=1)
else()
  set_target_properties(Wasmtime::Wasmtime PROPERTIES
    IMPORTED_LOCATION ${wasmtime_dir}/lib/libwasmtime.a
    INTERFACE_COMPILE_DEFINITIONS AILERON_WASMTIME_EXTRAS=0)
endif()
set_target_properties(Wasmtime::Wasmtime PROPERTIES
  INTERFACE_INCLUDE_DIRECTORIES ${wasmtime_dir}/include
  INTERFACE_LINK_LIBRARIES "Threads::Threads;m;dl")
