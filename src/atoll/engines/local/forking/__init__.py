"""Forking: servers that start as copies of a process which has imported everything already."""

# The Lab behind a hub, and on a laptop: the module that is run plainly, and the Jupyter Server
# extension application in it, which a fork becomes.
OF_HUB = ("jupyterhub.singleuser", "jupyterhub.singleuser.extension:JupyterHubSingleUser")
ALONE = ("jupyterlab", "jupyterlab.labapp:LabApp")
