# `just` lists the recipes; `just check` is what must pass.

_default:
    @just --list

# Formatting, lints, documentation and every test
check:
    scripts/check

# Tests that need neither an engine nor the network
quick:
    cargo nextest run --lib --test quick

# The pages of docs/reference/ that are made of what the program says of itself
documents:
    WRITE_DOCUMENTS=1 cargo nextest run --test quick documents::
    WRITE_DOCUMENTS=1 cargo nextest run --lib trial::spread::tests::scale::the_page

# From a fresh clone to a tested image
quickstart:
    scripts/quickstart
