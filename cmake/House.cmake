# aileron_library(folder DEPS …)           the static library of src/<folder>: every .c directly in it
# aileron_program(name folder DEPS …)      a program from src/<folder>
# A library is named aileron_<folder> with '/' as '_'; DEPS name folders or CMake targets.

function(aileron_target_of dep out)
  if(dep MATCHES "::")
    set(${out} ${dep} PARENT_SCOPE)
  else()
    string(REPLACE "/" "_" name ${dep})
    set(${out} aileron_${name} PARENT_SCOPE)
  endif()
endfunction()

function(aileron_link target)
  foreach(dep IN LISTS ARGN)
    aileron_target_of(${dep} name)
    target_link_libraries(${target} PUBLIC ${name})
  endforeach()
endfunction()

function(aileron_library folder)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  aileron_target_of(${folder} target)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*.c)
  add_library(${target} STATIC ${sources})
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  aileron_link(${target} ${ARG_DEPS})
endfunction()

function(aileron_program name folder)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*.c)
  add_executable(${name} ${sources})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
  aileron_link(${name} ${ARG_DEPS})
endfunction()
