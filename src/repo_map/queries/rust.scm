; Definitions
(struct_item name: (type_identifier) @def.class)
(enum_item name: (type_identifier) @def.class)
(union_item name: (type_identifier) @def.class)
(type_item name: (type_identifier) @def.class)
(trait_item name: (type_identifier) @def.interface)
(function_item name: (identifier) @def.function)
(function_signature_item name: (identifier) @def.function)
(macro_definition name: (identifier) @def.macro)
(mod_item name: (identifier) @def.module)
(const_item name: (identifier) @def.constant)
(static_item name: (identifier) @def.constant)
; References
(call_expression function: [(identifier) @ref
  (field_expression field: (field_identifier) @ref)
  (scoped_identifier name: (identifier) @ref)])
(macro_invocation macro: (identifier) @ref)
(type_identifier) @ref
(use_declaration argument: (scoped_identifier name: (identifier) @ref))
(use_list (identifier) @ref)
