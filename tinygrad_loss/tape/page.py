from typing import Any


def html_page(t:Any)->str: return ""
