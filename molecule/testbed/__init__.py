"""What the scenarios' tests share: the cluster under test, clients of it, and a place outside."""
