# A container is reached from outside, and has no browser.
c = get_config()  # noqa: F821
c.ServerApp.ip = "0.0.0.0"
c.ServerApp.port = 8888
c.ServerApp.open_browser = False
# Deleting moves nothing to a trash that fills the person's volume unseen.
c.FileContentsManager.delete_to_trash = False
