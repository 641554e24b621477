; Definitions
(function_declarator declarator: (identifier) @def.function)
(struct_specifier name: (type_identifier) @def.class body: (_))
(union_specifier name: (type_identifier) @def.class body: (_))
(enum_specifier name: (type_identifier) @def.class body: (_))
(type_definition declarator: (type_identifier) @def.class)
(preproc_def name: (identifier) @def.macro)
(preproc_function_def name: (identifier) @def.macro)
; References
(call_expression function: [(identifier) @ref (field_expression field: (field_identifier) @ref)])
(type_identifier) @ref
