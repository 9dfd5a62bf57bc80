//! What the page holds, and what it never does.
