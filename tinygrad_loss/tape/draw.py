from typing import Any
def dot(t:Any)->str: return ""
def svg(t:Any)->str: return ""
