# `just` lists the recipes; `just check` is what must pass.

_default:
    @just --list

# Formatting, lints, documentation and every test
check:
    scripts/check

# Tests that need no engine
quick:
    cargo nextest run --lib --test tidy

# From a fresh clone to a tested image
quickstart:
    scripts/quickstart
