"""Change the code that decides, place by place, and list each change that no test notices."""
