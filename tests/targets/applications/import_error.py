import a_module_that_is_missing  # type: ignore[import-not-found]  # that is the point

app = a_module_that_is_missing.app
